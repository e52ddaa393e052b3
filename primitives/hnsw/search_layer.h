// SPDX-License-Identifier: Apache-2.0
// Walking one level of the graph: Alg. 2 of [Malkov2018], gather-then-score.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "core/bound.h"
#include "core/hash.h"
#include "core/slot.h"
#include "core/visited_set.h"
#include "primitives/hnsw/graph.h"

namespace engram::hnsw {

/// The order of answers: ties go to the lower slot.
struct BySlot {
  bool operator()(const Hit& a, const Hit& b) const noexcept { return a < b; }
};

/// The order of candidates while building around `base`: ties are broken by a hash of the pair.
/// Were they broken by slot, thousands of equal vectors would all choose the same few neighbours,
/// whose lists cannot name them all, and most of them could never be found again.
struct ByPairHash {
  Slot base;

  bool operator()(const Hit& a, const Hit& b) const noexcept {
    if (a.score != b.score) return a.score < b.score;
    return key(a.slot) < key(b.slot);
  }

 private:
  std::uint64_t key(Slot slot) const noexcept { return mix(std::uint64_t{base} << 32 | slot); }
};

/// Watches a walk; this one costs nothing.
struct NoProbe {
  void expanded(Slot /*slot*/) noexcept {}
  void scored(std::size_t /*count*/) noexcept {}
};

/// How many candidates a step of a walk expands. Alg. 2 takes one; with several their lists come
/// from memory at the same time, and so do the rows of their neighbours. Measured: README.md.
inline constexpr std::size_t kWidth = 3;

/// The reusable memory of a walk.
struct Beam {
  VisitedSet visited;
  std::vector<Hit> frontier;  // met, not yet expanded: a heap, nearest on top
  std::vector<Hit> nearest;   // the answer: a heap, farthest on top, while the walk goes on
  std::vector<Slot> fresh;    // the neighbours of one step that were not visited before
  std::vector<float> scores;  // theirs
};

/// A score that orders may compare. Rows that were loaded and are not verified yet may hold NaN:
/// such a row is farther than all others.
inline float comparable(float score) noexcept {
  return std::isnan(score) ? std::numeric_limits<float>::infinity() : score;
}

/// `slot` with its score.
inline Hit score_one(const Bound& query, Slot slot) {
  return {comparable(query.score(slot)), slot};
}

/// Scores `slots` into `scores`, which grows as needed.
inline std::span<const float> score_all(const Bound& query, std::span<const Slot> slots,
                                        std::vector<float>& scores) {
  if (scores.size() < slots.size()) scores.resize(slots.size());
  const std::span<float> out(scores.data(), slots.size());
  query.gather(slots, out);
  for (float& score : out) score = comparable(score);
  return out;
}

/// Leaves in `ranked` the `slots` with their scores to `query`, ascending by `order`.
template <class Order>
void rank(const Bound& query, std::span<const Slot> slots, Order order, std::vector<float>& scores,
          std::vector<Hit>& ranked) {
  const auto found = score_all(query, slots, scores);
  ranked.clear();
  for (std::size_t i = 0; i < slots.size(); ++i) ranked.push_back({found[i], slots[i]});
  std::sort(ranked.begin(), ranked.end(), order);
}

/// Alg. 2 with ef = 1, as the descent through the upper levels uses it: goes to the best neighbour
/// while there is a better one. Needs no visited set, because every step improves. Erased nodes
/// route like others.
template <class Order>
Hit greedy_walk(const Graph& graph, unsigned level, const Bound& query, Hit start, Order order,
                Beam& beam) {
  for (Hit best = start;;) {
    beam.fresh.clear();
    graph.links(best.slot, level).for_each([&](Slot slot) { beam.fresh.push_back(slot); });
    const auto scores = score_all(query, beam.fresh, beam.scores);
    Hit next = best;
    for (std::size_t i = 0; i < scores.size(); ++i) {
      const Hit hit{scores[i], beam.fresh[i]};
      if (order(hit, next)) next = hit;
    }
    if (next.slot == best.slot) return best;
    best = next;
  }
}

/// Alg. 2: leaves in beam.nearest, ascending by `order`, the `ef` nodes nearest to `query` that the
/// walk from `starts` meets and is_answer(slot) accepts. Nodes that it does not accept (erased
/// ones) are walked through all the same. starts: nodes of `level` with their scores. slot_end: see
/// VisitedSet::start. Each step first gathers the unvisited neighbours and then scores them in one
/// call, so that the kernel can share the query's loads and fetch rows ahead.
template <class Order, class IsAnswer, class Probe = NoProbe>
void search_layer(const Graph& graph, unsigned level, const Bound& query,
                  std::span<const Hit> starts, std::size_t ef, Slot slot_end, Order order,
                  IsAnswer is_answer, Beam& beam, Probe&& probe = {}) {
  const auto farther = [order](const Hit& a, const Hit& b) { return order(b, a); };
  auto& visited = beam.visited;
  auto& frontier = beam.frontier;
  auto& nearest = beam.nearest;
  auto& fresh = beam.fresh;
  visited.start(slot_end);
  frontier.clear();
  nearest.clear();

  const auto consider = [&](const Hit& hit) {
    const bool full = nearest.size() >= ef;
    if (full && !order(hit, nearest.front())) return;
    frontier.push_back(hit);
    std::push_heap(frontier.begin(), frontier.end(), farther);
    if (!is_answer(hit.slot)) return;
    if (full) {
      std::pop_heap(nearest.begin(), nearest.end(), order);
      nearest.back() = hit;
    } else {
      nearest.push_back(hit);
    }
    std::push_heap(nearest.begin(), nearest.end(), order);
  };

  for (const Hit& start : starts) {
    if (visited.insert(start.slot)) consider(start);
  }
  std::array<Slot, kWidth> expanded;
  const auto take_nearest = [&] {
    std::size_t width = 0;
    for (; width < kWidth && !frontier.empty(); ++width) {
      const Hit next = frontier.front();
      if (nearest.size() >= ef && order(nearest.front(), next)) break;
      std::pop_heap(frontier.begin(), frontier.end(), farther);
      frontier.pop_back();
      expanded[width] = next.slot;
      if (level == 0) graph.prefetch_links(next.slot);
    }
    return std::span<const Slot>(expanded.data(), width);
  };
  for (auto nodes = take_nearest(); !nodes.empty(); nodes = take_nearest()) {
    fresh.clear();
    for (const Slot node : nodes) {
      graph.links(node, level).for_each([&](Slot slot) { visited.prefetch(slot); });
    }
    for (const Slot node : nodes) {
      graph.links(node, level).for_each([&](Slot slot) {
        if (!visited.insert(slot)) return;
        query.prefetch(slot);
        fresh.push_back(slot);
      });
      probe.expanded(node);
    }
    probe.scored(fresh.size());
    const auto fresh_scores = score_all(query, fresh, beam.scores);
    for (std::size_t i = 0; i < fresh.size(); ++i) consider({fresh_scores[i], fresh[i]});
    if (level == 0 && !frontier.empty()) graph.prefetch_links(frontier.front().slot);
  }
  std::sort_heap(nearest.begin(), nearest.end(), order);
}

}  // namespace engram::hnsw
