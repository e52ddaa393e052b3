// SPDX-License-Identifier: Apache-2.0
// The walk over level 0 by the codes that lie with nodes [Gou2025].
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "core/bound.h"
#include "core/top_k.h"
#include "primitives/qg/neighbor_codes.h"
#include "primitives/shared/hnsw/graph.h"
#include "primitives/shared/hnsw/order.h"
#include "primitives/shared/hnsw/search_layer.h"

namespace engram::qg {

/// The reusable memory of a walk.
struct CodeBeam {
  hnsw::Beam beam;
  CodedQuery query;
  std::vector<float> estimates;  // of one node's neighbours
};

/// Finds nodes near a query: each node that it expands it scores exactly, and its neighbours by
/// their codes. It ends when the `ef` nearest estimates of answers that it has met belong to nodes
/// that are expanded, k of them answers. A node that several others lead to is met as often, each
/// time with another estimate, of which the least counts. is_answer(slot): whether a node may be
/// answered; others lead the walk all the same, but those that the order ranks behind all others.
/// Borrows all; one walk at a time has a CodeBeam.
template <class Order, class IsAnswer>
class CodeWalk {
 public:
  /// counts_all: all nodes are answers, so that none is asked about before it is expanded. What a
  /// damaged list names may be no node. beam.query: prepared for the query that `query` is bound
  /// to.
  CodeWalk(const hnsw::Graph& graph, const NeighborCodes& codes, const Bound& query, std::size_t ef,
           std::size_t k, Order order, IsAnswer is_answer, bool counts_all, CodeBeam& beam)
      : graph_(graph),
        codes_(codes),
        query_(query),
        ef_(ef),
        k_(k),
        order_(order),
        is_answer_(is_answer),
        counts_all_(counts_all),
        beam_(beam) {}

  /// Gives offer(hit) every answer that it expands, with its exact score: at least k, if it meets
  /// so many. start: none that the order ranks behind all. slot_end: see VisitedSet::start.
  template <class Offer>
  void run(const Hit& start, Slot slot_end, Offer&& offer) {
    beam_.beam.visited.start(slot_end);
    beam_.beam.frontier.clear();
    beam_.beam.nearest.clear();
    beam_.estimates.resize(codes_.degree());
    consider(order_.rank(start));
    for (Slot node = take(); node != kNoSlot; node = take()) expand(node, offer);
  }

 private:
  /// The nearest candidate that is not expanded yet; kNoSlot if none is to be.
  Slot take() {
    auto& frontier = beam_.beam.frontier;
    while (!frontier.empty()) {
      if (frontier.top() > farthest_ && answers_ >= k_) break;
      const Slot slot = order_.hit(frontier.top()).slot;
      frontier.pop();
      if (beam_.beam.visited.insert(slot)) return slot;
    }
    return kNoSlot;
  }

  void prefetch(Slot slot) const noexcept {
    const std::byte* row;
    query_.locate({&slot, 1}, &row);
    query_.prefetch({&row, 1});
    graph_.prefetch_links(slot);
    codes_.prefetch(slot);
  }

  template <class Offer>
  void expand(Slot node, Offer&& offer) {
    const auto marks = beam_.beam.visited.marks();
    const std::size_t end = std::min(graph_.node_end(), marks.end());
    const hnsw::LinkList links = graph_.links(node, 0, end);
    const float score = hnsw::comparable(query_.score(node));
    if (is_answer_(node)) {
      ++answers_;
      offer(Hit{score, node});
    }
    estimate(node, links, end, score);
    for (std::size_t i = 0; i < links.capacity(); ++i) {
      const Slot slot = links[i];
      if (slot >= end) {
        if (slot == kNoSlot) break;
        continue;
      }
      const hnsw::Rank rank = order_.rank({hnsw::comparable(beam_.estimates[i]), slot});
      if (rank < farthest_ && !marks.contains(slot)) consider(rank);
    }
    if (!beam_.beam.frontier.empty()) prefetch(order_.hit(beam_.beam.frontier.top()).slot);
  }

  /// Squares so small that scores are no squares any more (core/metric.h) have no estimate: then
  /// all are scored.
  void estimate(Slot node, const hnsw::LinkList& links, std::size_t end, float score) {
    const std::span<float> estimates(beam_.estimates);
    if (score >= kLeastSquare || !codes_.is_l2()) {
      codes_.estimate(beam_.query, node, score, estimates);
      return;
    }
    for (std::size_t i = 0; i < links.capacity(); ++i) {
      const Slot slot = links[i];
      if (slot < end) estimates[i] = query_.score(slot);
    }
  }

  /// Remembers a node that is nearer than the farthest of the nearest.
  void consider(hnsw::Rank rank) {
    auto& nearest = beam_.beam.nearest;
    beam_.beam.frontier.push(rank);
    if (!counts_all_ && !is_answer_(order_.hit(rank).slot)) return;
    if (nearest.size() < ef_) {
      nearest.push(~rank);
    } else {
      nearest.replace_top(~rank);
    }
    if (nearest.size() == ef_) farthest_ = ~nearest.top();
  }

  const hnsw::Graph& graph_;
  const NeighborCodes& codes_;
  const Bound query_;
  const std::size_t ef_;
  const std::size_t k_;
  [[no_unique_address]] const Order order_;
  [[no_unique_address]] const IsAnswer is_answer_;
  const bool counts_all_;
  CodeBeam& beam_;
  hnsw::Rank farthest_ = hnsw::kNoRank;  // of the nearest, once there are `ef`
  std::size_t answers_ = 0;              // that are expanded
};

}  // namespace engram::qg
