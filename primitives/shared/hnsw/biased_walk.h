// SPDX-License-Identifier: Apache-2.0
// Walking level 0 farther than the nearest: for answers that are ranked by effective scores
// (core/bias.h), and for all within a radius. The walk itself goes by the kernel's scores, which
// the graph was built by and which bound the effective ones from below.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <vector>

#include "core/bias.h"
#include "primitives/shared/hnsw/filtered_walk.h"
#include "primitives/shared/hnsw/order.h"
#include "primitives/shared/hnsw/rank_heap.h"
#include "primitives/shared/hnsw/search_layer.h"

namespace engram::hnsw {

/// The reusable memory of a biased walk, beside a Beam.
struct BiasedBeam {
  RankHeap best;                // the complements of the best by effective score
  RankHeap outside;             // and of the nearest beyond a radius
  std::vector<Slot> slots;      // of one batch: answers
  std::vector<float> scores;    // theirs
  std::vector<Rank> met;        // all answers that were worth a look, by effective score
  std::vector<Rank> passed;     // what the plain walk passed by
  std::vector<Rank> displaced;  // what it had among the nearest for a while

  void clear() {
    best.clear();
    outside.clear();
    met.clear();
    passed.clear();
    displaced.clear();
  }
};

/// The Rest of a LayerWalk that may have to go on.
struct KeepRest {
  static constexpr bool kNeedsScores = true;
  BiasedBeam& biased;

  void passed(Rank rank) { biased.passed.push_back(rank); }
  void displaced(Rank rank) { biased.displaced.push_back(rank); }
  void forget() {
    biased.passed.clear();
    biased.displaced.clear();
  }
};

/// How many of the best by effective score a walk keeps that is asked for k: it ends when what lies
/// beyond cannot be among them. The k best may be far from the query, where a walk meets less
/// surely what there is, and as with the nearest it helps to look for more. So many that recall is
/// that of the nearest at the same EF, where strengths spread widely. Measured: README.md,
/// "Strength".
inline std::size_t best_to_keep(std::size_t ef, std::size_t k) noexcept {
  constexpr double kShare = 0.37;
  const auto kept = static_cast<double>(ef);
  const double mean = std::cbrt(kept * kept * static_cast<double>(k));
  return std::max(k, static_cast<std::size_t>(kShare * mean));
}

/// The best by effective score, and within a radius, of the nodes that are offered with the
/// kernel's; and what may be among them.
class BestByBias {
 public:
  /// bias: null where effective scores are the kernel's. k: at least 1.
  BestByBias(const ScoreBias* bias, const Admission& admission, std::size_t k, BiasedBeam& biased)
      : bias_(bias), admission_(admission), count_(k), biased_(biased) {}

  /// From now on so many, k at least.
  void keep_best(std::size_t count) noexcept { count_ = count; }

  /// From now on only what has a score of at most `max_score`.
  void stay_within(float max_score) noexcept {
    beyond_ = (Rank{ordered_bits(max_score)} + 1) << 32;
  }
  /// How many of `ranks` have.
  std::size_t count_within(std::span<const Rank> ranks) const noexcept {
    return static_cast<std::size_t>(
        std::count_if(ranks.begin(), ranks.end(), [this](Rank rank) { return rank < beyond_; }));
  }
  /// A way there may lead over nodes that are farther: until it knows the nearest `outside` of
  /// these, bound() is beyond them.
  void look_outside(std::size_t outside) noexcept { outside_ = outside; }

  /// What is not nearer by the kernel's score is not among them.
  Rank bound() const noexcept {
    if (biased_.best.size() == count_) return ~biased_.best.top();
    if (outside_ > 0 && biased_.outside.size() == outside_) return ~biased_.outside.top();
    return kNoRank;
  }

  /// Offers what a walk found, which it reorders: the nearest first, as most of the others are then
  /// farther than the last of the best, however strong they are. keeps_all: these are met, too, for
  /// codes may be wrong about them.
  void offer_found(std::span<Rank> found, bool keeps_all) {
    if (bias_ == nullptr) return offer(found);
    const std::size_t first = std::min(count_, found.size());
    std::nth_element(found.begin(), found.begin() + static_cast<std::ptrdiff_t>(first),
                     found.end());
    for (const Rank rank : found.first(first)) {
      nearest_ = std::min(nearest_, BySlot::hit(rank).score);
    }
    offer(found.first(first));
    offer_below(keeps_all ? kNoRank : bound(), found.subspan(first));
  }

  /// Offers those that are admitted.
  void offer(std::span<const Rank> ranks) { offer_below(bound(), ranks); }

  /// Moves to the front those neighbours of `node` that are strong enough to be among the best, and
  /// returns how many these are. How near they are is not known yet: not nearer, it is assumed,
  /// than half of the way from the node to the nearest, which is wrong seldom enough (README.md).
  /// What is not held has no strength, and is a way: it stays. Where handicaps are not at hand, all
  /// do.
  std::size_t choose(std::span<Slot> slots, Rank node) {
    constexpr float kCloser = 0.5F;
    if (bias_ == nullptr || !bias_->is_at_hand() || biased_.best.size() < count_) {
      return slots.size();
    }
    const auto first_held = std::partition(slots.begin(), slots.end(),
                                           [this](Slot slot) { return !admission_.holds(slot); });
    const std::span<Slot> held(first_held, slots.end());
    const float score = BySlot::hit(node).score;
    biased_.scores.assign(held.size(), score - kCloser * (score - nearest_));
    bias_->apply(held, biased_.scores);
    const float limit = BySlot::hit(~biased_.best.top()).score;
    std::size_t kept = slots.size() - held.size();
    for (std::size_t i = 0; i < held.size(); ++i) {
      slots[kept] = held[i];
      kept += static_cast<std::size_t>(!(biased_.scores[i] > limit));
    }
    return kept;
  }

 private:
  /// Those of them that are less than `limit`.
  void offer_below(Rank limit, std::span<const Rank> ranks) {
    biased_.slots.clear();
    biased_.scores.clear();
    for (const Rank rank : ranks) {
      if (rank >= limit) continue;
      if (rank >= beyond_) {
        keep(rank, biased_.outside, outside_);
        continue;
      }
      const Hit hit = BySlot::hit(rank);
      if (!admission_(hit.slot)) continue;
      biased_.slots.push_back(hit.slot);
      biased_.scores.push_back(hit.score);
    }
    if (bias_ != nullptr) bias_->apply(biased_.slots, biased_.scores);
    for (std::size_t i = 0; i < biased_.slots.size(); ++i) {
      const Rank rank = BySlot::rank({biased_.scores[i], biased_.slots[i]});
      biased_.met.push_back(rank);
      if (rank < beyond_) keep(rank, biased_.best, count_);
    }
  }

  /// The least `most` in a heap of their complements.
  static void keep(Rank rank, RankHeap& heap, std::size_t most) {
    if (heap.size() < most) {
      heap.push(~rank);
    } else if (rank < ~heap.top()) {
      heap.replace_top(~rank);
    }
  }

  const ScoreBias* bias_;
  const Admission admission_;
  std::size_t count_;
  BiasedBeam& biased_;
  Rank beyond_ = kNoRank;
  float nearest_ = std::numeric_limits<float>::infinity();  // the least score found
  std::size_t outside_ = 0;
};

}  // namespace engram::hnsw
