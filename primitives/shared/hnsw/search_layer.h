// SPDX-License-Identifier: Apache-2.0
// Walking one level of the graph: Alg. 2 of [Malkov2018], gather-then-score.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <functional>
#include <limits>
#include <span>
#include <vector>

#include "core/assert.h"
#include "core/bound.h"
#include "core/slot.h"
#include "core/visited_set.h"
#include "primitives/shared/hnsw/graph.h"
#include "primitives/shared/hnsw/order.h"
#include "primitives/shared/hnsw/rank_heap.h"

namespace engram::hnsw {

/// Watches a walk; this one costs nothing.
struct NoProbe {
  void expanded(Slot /*slot*/) noexcept {}
  void scored(std::size_t /*count*/) noexcept {}
};

/// How many candidates a step of a walk expands. Alg. 2 takes one; with several their lists come
/// from memory at the same time, and so do the rows of their neighbours. Measured: README.md.
inline constexpr std::size_t kWidth = 3;

/// The same where a walk goes on as far as a bound: it will expand nearly all that it takes anyway.
inline constexpr std::size_t kWideWidth = 16;

/// What a walk does with nodes that are not, or no more, among the nearest; this one forgets them.
struct ForgetRest {
  static constexpr bool kNeedsScores = false;  ///< of those; else they are given their ranks
  void passed(Rank /*rank*/) noexcept {}       ///< not among them when it was met
  void displaced(Rank /*rank*/) noexcept {
  }                          ///< it was: it is an answer, and in the frontier or expanded
  void forget() noexcept {}  ///< another walk begins
};

/// The reusable memory of a walk.
struct Beam {
  VisitedSet visited;
  RankHeap frontier;            // met, not yet expanded
  RankHeap nearest;             // the complements of the nearest so far, so the farthest is on top
  std::vector<Slot> neighbors;  // of the nodes of one step
  std::vector<const std::byte*> rows;  // theirs, as are
  std::vector<float> scores;
  std::vector<Rank> found;  // the nearest, when the walk has ended
};

/// What a walk found, in no order.
inline std::span<Rank> take_found(Beam& beam) {
  const std::span<const Rank> complements = beam.nearest.values();
  beam.found.resize(complements.size());
  std::transform(complements.begin(), complements.end(), beam.found.begin(), std::bit_not<>());
  return beam.found;
}

/// Of the ranks that score(limit, take) gives to take(rank), those that are less than
/// further.bound() go to the frontier, and to further.offer(ranks).
template <class Further, class Score>
void offer_nearer(Beam& beam, Further& further, Score&& score) {
  beam.found.clear();
  const Rank bound = further.bound();
  score(bound, [&beam, bound](Rank rank) {
    if (rank >= bound) return;
    beam.frontier.push(rank);
    beam.found.push_back(rank);
  });
  further.offer(beam.found);
}

/// `slot` with its score.
inline Hit score_one(const Bound& query, Slot slot) {
  return {comparable(query.score(slot)), slot};
}

/// Scores `slots`, as far as `limit`, into `scores`, which grows as needed.
inline std::span<const float> score_all(const Bound& query, std::span<const Slot> slots,
                                        std::vector<float>& scores,
                                        float limit = std::numeric_limits<float>::infinity()) {
  if (scores.size() < slots.size()) scores.resize(slots.size());
  const std::span<float> out(scores.data(), slots.size());
  query.gather_within(slots, limit, out);
  for (float& score : out) score = comparable(score);
  return out;
}

/// Scores rows. What is not less than `limit` by the order may get any score of which that is true.
template <class Order>
void score_below(Rank limit, const Bound& query, std::span<const std::byte* const> rows,
                 Order order, std::span<float> scores) {
  if (limit == kNoRank) {
    query.gather_rows(rows, scores);
  } else {
    query.gather_rows_within(rows, order.hit(limit).score, scores);
  }
}

/// How far a walk needs scores: as it takes only what is less than `farthest`, no farther, unless
/// its Rest needs those of what it passes by.
template <class Rest>
constexpr Rank needed_below(Rank farthest) noexcept {
  return Rest::kNeedsScores ? kNoRank : farthest;
}

/// Leaves in `hits` the `slots` with their scores to `query`.
inline void score_hits(const Bound& query, std::span<const Slot> slots, std::vector<float>& scores,
                       std::vector<Hit>& hits) {
  const auto found = score_all(query, slots, scores);
  hits.clear();
  for (std::size_t i = 0; i < slots.size(); ++i) hits.push_back({found[i], slots[i]});
}

/// The same, ascending by `order`.
template <class Order>
void rank(const Bound& query, std::span<const Slot> slots, Order order, std::vector<float>& scores,
          std::vector<Hit>& ranked) {
  score_hits(query, slots, scores, ranked);
  std::sort(ranked.begin(), ranked.end(), order);
}

/// Alg. 2 with ef = 1, as the descent through the upper levels uses it: goes to the best neighbour
/// while there is a better one. Needs no visited set, because every step improves. Erased nodes
/// route like others.
template <class Order>
Hit greedy_walk(const Graph& graph, unsigned level, const Bound& query, Hit start, Order order,
                Beam& beam) {
  beam.neighbors.resize(graph.capacity(level));
  Slot* const neighbors = beam.neighbors.data();
  for (Hit best = start;;) {
    std::size_t count = 0;
    graph.links(best.slot, level).for_each([&](Slot slot) { neighbors[count++] = slot; });
    query.fetch_placed({neighbors, count});
    // What the order puts behind all that there is sets no limit.
    const float limit =
        order.rank(best) == kNoRank ? std::numeric_limits<float>::infinity() : best.score;
    const auto scores = score_all(query, {neighbors, count}, beam.scores, limit);
    Hit next = best;
    for (std::size_t i = 0; i < count; ++i) {
      const Hit hit{scores[i], neighbors[i]};
      if (order(hit, next)) next = hit;
    }
    if (next.slot == best.slot) return best;
    best = next;
  }
}

/// The descent of Alg. 1 and 5: from the entry point to the start of a walk over `level`, by greedy
/// walks over the levels above it. graph: not empty.
template <class Order>
Hit descend(const Graph& graph, Entry entry, unsigned level, const Bound& query, Order order,
            Beam& beam) {
  Hit start = score_one(query, entry.slot);
  for (unsigned l = entry.level; l > level; --l) {
    start = greedy_walk(graph, l, query, start, order, beam);
  }
  return start;
}

/// Alg. 2: a walk over a level from `starts` that finds the `ef` nodes nearest to `query` which it
/// meets and is_answer(slot) accepts. Nodes that it does not accept (erased ones) are walked
/// through all the same. Each part of a step asks memory for what the next one reads, and the
/// unvisited neighbours are scored in one call, so that the kernel can share the query's loads.
/// Borrows all but `query`; one walk at a time has a Beam.
template <class Order, class IsAnswer, class Rest = ForgetRest>
class LayerWalk {
 public:
  LayerWalk(const Graph& graph, unsigned level, const Bound& query, std::size_t ef, Order order,
            IsAnswer is_answer, Beam& beam, Rest rest = {})
      : graph_(graph),
        level_(level),
        query_(query),
        ef_(ef),
        order_(order),
        is_answer_(is_answer),
        beam_(beam),
        rest_(rest) {}

  /// Walks, and returns what was found, in no order; it lies in the beam. starts: at most `ef`
  /// nodes of `level` with their scores. slot_end: see VisitedSet::start.
  template <class Probe>
  std::span<Rank> run(std::span<const Hit> starts, Slot slot_end, Probe& probe) {
    begin(starts, slot_end);
    while (expand(farthest_, kWidth)) {
      look();
      gather();
      for (const Slot slot : expanded()) probe.expanded(slot);
      probe.scored(count_);
      score(needed_below<Rest>(farthest_), [this](Rank rank) {
        if (rank < farthest_) {
          consider(rank);
        } else {
          rest_.passed(rank);
        }
      });
    }
    return take_found(beam_);
  }

  /// The farthest that run() found; kNoRank if it found fewer than `ef`.
  Rank farthest() const noexcept { return farthest_; }

  /// Goes on where run() ended, as far as further.bound(). The frontier holds the candidates that
  /// run() met and did not expand. Of the neighbours that are met, further.choose(slots, rank)
  /// moves those that are worth a look to the front and returns how many these are; rank: of the
  /// nearest node that they are neighbours of. Those that are nearer than the bound are pushed to
  /// the frontier and given step by step to further.offer(ranks), which may change it. False if
  /// that takes more than `most` expansions.
  template <class Further, class Probe>
  bool widen(std::size_t most, Further& further, Probe& probe) {
    std::size_t expansions = 0;
    for (bool goes_on = expand(further.bound(), kWideWidth); goes_on;) {
      if (expansions >= most) return false;
      expansions += width_;
      look();
      keep_new();
      count_ = further.choose({beam_.neighbors.data(), count_}, nearest_expanded_);
      fetch();
      for (const Slot slot : expanded()) probe.expanded(slot);
      probe.scored(count_);
      // The next lists come from memory while the rows are scored.
      goes_on = expand(further.bound(), kWideWidth);
      offer_nearer(beam_, further, [this](Rank bound, auto&& take) { this->score(bound, take); });
      if (!goes_on) goes_on = expand(further.bound(), kWideWidth);
    }
    return true;
  }

 protected:  // for walks that decide otherwise what is an answer: routing_walk.h
  std::span<const Slot> expanded() const noexcept { return {expanded_.data(), width_}; }

  void begin(std::span<const Hit> starts, Slot slot_end) {
    ENGRAM_DASSERT(ef_ >= 1 && starts.size() <= ef_);
    beam_.visited.start(slot_end);
    beam_.frontier.clear();
    beam_.nearest.clear();
    beam_.neighbors.resize(kWideWidth * graph_.capacity(level_));
    beam_.rows.resize(beam_.neighbors.size());
    beam_.scores.resize(beam_.neighbors.size());
    for (const Hit& start : starts) {
      if (beam_.visited.insert(start.slot)) consider(order_.rank(start));
    }
  }

  // The parts of a step are inlined, though there are two loops of them: out of line they took 8 %
  // of a biased search.

  /// Takes the nearest candidates, up to so many. False if none is as near as `bound`: the walk has
  /// ended.
  [[gnu::always_inline]] bool expand(Rank bound, std::size_t most) {
    RankHeap& frontier = beam_.frontier;
    if (!frontier.empty()) nearest_expanded_ = frontier.top();
    for (width_ = 0; width_ < most && !frontier.empty(); ++width_) {
      if (frontier.top() > bound) break;
      expanded_[width_] = order_.hit(frontier.top()).slot;
      prefetch_links(expanded_[width_]);
      frontier.pop();
    }
    return width_ > 0;
  }

  /// Looks at their neighbours: whether they have been visited will be asked.
  [[gnu::always_inline]] void look() {
    const VisitedSet::Marks marks = beam_.visited.marks();
    const std::size_t end = std::min(graph_.node_end(), marks.end());
    Slot* const neighbors = beam_.neighbors.data();
    std::size_t count = 0;
    if (level_ == 0) graph_.fetch_links(expanded());
    for (const Slot slot : expanded()) {
      graph_.links(slot, level_, end).for_each([&](Slot neighbor) {
        marks.prefetch(neighbor);
        neighbors[count++] = neighbor;
      });
    }
    count_ = count;
  }

  /// Keeps those neighbours that were not visited before. Which they are cannot be foreseen, so
  /// there is no branch on it.
  [[gnu::always_inline]] void keep_new() {
    const VisitedSet::Marks marks = beam_.visited.marks();
    Slot* const neighbors = beam_.neighbors.data();
    const std::size_t count = count_;
    std::size_t kept = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const Slot slot = neighbors[i];
      neighbors[kept] = slot;
      kept += static_cast<std::size_t>(marks.insert(slot));
    }
    count_ = kept;
  }

  /// Asks for their rows: the disk, where they have not been read yet, and memory.
  [[gnu::always_inline]] void fetch() {
    query_.fetch_placed({beam_.neighbors.data(), count_});
    query_.locate({beam_.neighbors.data(), count_}, beam_.rows.data());
    query_.prefetch({beam_.rows.data(), count_});
  }

  [[gnu::always_inline]] void gather() {
    keep_new();
    fetch();
  }

  /// take(rank) of each neighbour, see score_below().
  template <class Take>
  void score(Rank limit, Take&& take) {
    const std::span<const Slot> slots(beam_.neighbors.data(), count_);
    const std::span<float> scores(beam_.scores.data(), count_);
    score_below(limit, query_, {beam_.rows.data(), count_}, order_, scores);
    for (std::size_t i = 0; i < slots.size(); ++i) {
      take(order_.rank({comparable(scores[i]), slots[i]}));
    }
    if (!beam_.frontier.empty()) prefetch_links(order_.hit(beam_.frontier.top()).slot);
  }

  /// Remembers a node that is nearer than the farthest of the nearest.
  [[gnu::always_inline]] void consider(Rank rank) {
    RankHeap& nearest = beam_.nearest;
    beam_.frontier.push(rank);
    if (!is_answer_(order_.hit(rank).slot)) return;
    if (nearest.size() < ef_) {
      nearest.push(~rank);
    } else {
      rest_.displaced(farthest_);
      nearest.replace_top(~rank);
    }
    if (nearest.size() == ef_) farthest_ = ~nearest.top();
  }

  void prefetch_links(Slot slot) const noexcept {
    if (level_ == 0) graph_.prefetch_links(slot);
  }

  const Graph& graph_;
  const unsigned level_;
  const Bound query_;
  const std::size_t ef_;
  [[no_unique_address]] const Order order_;
  [[no_unique_address]] const IsAnswer is_answer_;
  Beam& beam_;
  [[no_unique_address]] Rest rest_;
  Rank farthest_ = kNoRank;                  // of the nearest, once there are `ef`
  std::array<Slot, kWideWidth> expanded_{};  // in this step
  Rank nearest_expanded_ = kNoRank;
  std::size_t width_ = 0;  // how many these are
  std::size_t count_ = 0;  // how many of beam.neighbors belong to this step
};

/// Takes a LayerWalk, and leaves in `hits` what it found, ascending by the order.
template <class Order, class IsAnswer, class Probe = NoProbe>
void search_layer(const Graph& graph, unsigned level, const Bound& query,
                  std::span<const Hit> starts, std::size_t ef, Slot slot_end, Order order,
                  IsAnswer is_answer, Beam& beam, std::vector<Hit>& hits, Probe&& probe = {}) {
  LayerWalk walk(graph, level, query, ef, order, is_answer, beam);
  const std::span<Rank> found = walk.run(starts, slot_end, probe);
  std::sort(found.begin(), found.end());
  hits.clear();
  for (const Rank rank : found) hits.push_back(order.hit(rank));
}

}  // namespace engram::hnsw
