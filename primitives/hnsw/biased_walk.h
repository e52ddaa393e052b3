// SPDX-License-Identifier: Apache-2.0
// Walking level 0 where answers are ranked by effective scores (core/bias.h): the walk itself goes
// by the kernel's, which the graph was built by and which bound the effective ones from below.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <vector>

#include "core/bias.h"
#include "core/slot_set.h"
#include "primitives/hnsw/graph.h"
#include "primitives/hnsw/order.h"
#include "primitives/hnsw/rank_heap.h"
#include "primitives/hnsw/search_layer.h"

namespace engram::hnsw {

/// The reusable memory of a biased walk, beside a Beam.
struct BiasedBeam {
  RankHeap strongest;         // the complements of the k best by effective score
  std::vector<Slot> slots;    // of one step: answers
  std::vector<float> scores;  // theirs
  std::vector<Hit> met;       // all answers that were worth a look, by effective score
};

/// As LayerWalk, the walk ends when no candidate is nearer than the farthest of the `ef` nearest
/// answers; but not before none is nearer than the k-th best by effective score, for what lies
/// beyond both can be no answer however strong it is. Among items of equal strength it is the plain
/// walk, step by step. Borrows all but `query`.
class BiasedWalk {
 public:
  struct Limits {
    std::size_t k;
    std::size_t ef;             ///< at least k
    std::size_t most_expanded;  ///< nodes: beyond that something else is cheaper
  };

  BiasedWalk(const Graph& graph, const Bound& query, const ScoreBias& bias, const SlotSet& held,
             const Limits& limits, Beam& beam, BiasedBeam& biased)
      : graph_(graph),
        query_(query),
        bias_(bias),
        held_(held),
        limits_(limits),
        beam_(beam),
        biased_(biased) {}

  /// Leaves in BiasedBeam::met the held nodes that may be answers, in no order. False if it gave up
  /// at the limit. slot_end: see VisitedSet::start.
  bool run(const Hit& start, Slot slot_end) {
    beam_.visited.start(slot_end);
    beam_.frontier.clear();
    beam_.nearest.clear();
    biased_.strongest.clear();
    biased_.met.clear();
    beam_.visited.insert(start.slot);
    consider({&start.slot, 1}, {&start.score, 1});
    std::size_t expanded = 0;
    while (!beam_.frontier.empty() && beam_.frontier.top() <= bound()) {
      expanded += expand();
      if (expanded > limits_.most_expanded) return false;
      const auto scores = score_all(query_, beam_.neighbors, beam_.scores);
      consider(beam_.neighbors, scores);
    }
    return true;
  }

 private:
  /// What is beyond it leads to no answer.
  Rank bound() const noexcept { return std::max(farthest_, kth_); }

  /// Fills beam.neighbors with those of the nearest candidates that were not visited before.
  std::size_t expand() {
    std::array<Slot, kWidth> nodes;
    std::size_t width = 0;
    for (; width < kWidth && !beam_.frontier.empty(); ++width) {
      if (beam_.frontier.top() > bound()) break;
      nodes[width] = BySlot::hit(beam_.frontier.top()).slot;
      graph_.prefetch_links(nodes[width]);
      beam_.frontier.pop();
    }
    gather({nodes.data(), width});
    return width;
  }

  /// As LayerWalk does: no branch on which neighbours were visited.
  void gather(std::span<const Slot> nodes) {
    const VisitedSet::Marks marks = beam_.visited.marks();
    const std::size_t end = std::min(graph_.node_end(), marks.end());
    beam_.neighbors.resize(kWidth * graph_.capacity(0));
    Slot* const neighbors = beam_.neighbors.data();
    std::size_t count = 0;
    for (const Slot node : nodes) {
      graph_.links(node, 0, end).for_each([&](Slot neighbor) {
        marks.prefetch(neighbor);
        neighbors[count++] = neighbor;
      });
    }
    std::size_t kept = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const Slot slot = neighbors[i];
      neighbors[kept] = slot;
      kept += static_cast<std::size_t>(marks.insert(slot));
    }
    beam_.neighbors.resize(kept);
    beam_.rows.resize(std::max(beam_.rows.size(), kept));
    query_.locate(beam_.neighbors, beam_.rows.data());
    query_.prefetch({beam_.rows.data(), kept});
    if (!beam_.frontier.empty()) {
      graph_.prefetch_links(BySlot::hit(beam_.frontier.top()).slot);
    }
  }

  void consider(std::span<const Slot> slots, std::span<const float> scores) {
    biased_.slots.clear();
    biased_.scores.clear();
    for (std::size_t i = 0; i < slots.size(); ++i) {
      const Rank rank = BySlot::rank({comparable(scores[i]), slots[i]});
      if (rank >= bound()) continue;
      beam_.frontier.push(rank);
      if (!held_.contains(slots[i])) continue;
      keep(beam_.nearest, limits_.ef, rank, farthest_);
      biased_.slots.push_back(slots[i]);
      biased_.scores.push_back(comparable(scores[i]));
    }
    bias_.apply(biased_.slots, biased_.scores);
    for (std::size_t i = 0; i < biased_.slots.size(); ++i) {
      const Hit hit{biased_.scores[i], biased_.slots[i]};
      biased_.met.push_back(hit);
      keep(biased_.strongest, limits_.k, BySlot::rank(hit), kth_);
    }
  }

  /// Keeps the `most` least ranks, and the greatest of them once there are so many.
  static void keep(RankHeap& least, std::size_t most, Rank rank, Rank& greatest) {
    if (least.size() < most) {
      least.push(~rank);
    } else if (rank < greatest) {
      least.replace_top(~rank);
    } else {
      return;
    }
    if (least.size() == most) greatest = ~least.top();
  }

  const Graph& graph_;
  const Bound query_;
  const ScoreBias& bias_;
  const SlotSet& held_;
  const Limits limits_;
  Beam& beam_;
  BiasedBeam& biased_;
  Rank farthest_ = kNoRank;  // of the `ef` nearest, once there are so many
  Rank kth_ = kNoRank;       // by effective score
};

}  // namespace engram::hnsw
