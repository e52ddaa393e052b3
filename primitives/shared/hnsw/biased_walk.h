// SPDX-License-Identifier: Apache-2.0
// Walking level 0 farther than the nearest: for answers that are ranked by effective scores
// (core/bias.h), and for all within a radius. The walk itself goes by the kernel's scores, which
// the graph was built by and which bound the effective ones from below.
#pragma once

#include <algorithm>
#include <cstddef>
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
  RankHeap best;              // the complements of the k best by effective score
  RankHeap outside;           // and of the nearest beyond a radius
  std::vector<Slot> slots;    // of one batch: answers
  std::vector<float> scores;  // theirs
  // All answers that were worth a look, by effective score; where codes are compared, those that
  // seemed too far by the kernel's, which bounds it from below.
  std::vector<Hit> met;
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
  BiasedBeam& biased;

  void passed(Rank rank) { biased.passed.push_back(rank); }
  void displaced(Rank rank) { biased.displaced.push_back(rank); }
  void forget() {
    biased.passed.clear();
    biased.displaced.clear();
  }
};

/// The k best by effective score, and within a radius, of the nodes that are offered with the
/// kernel's.
class BestByBias {
 public:
  /// bias: null where effective scores are the kernel's.
  BestByBias(const ScoreBias* bias, const Admission& admission, std::size_t k, BiasedBeam& biased)
      : bias_(bias), admission_(admission), k_(k), biased_(biased) {}

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
    if (biased_.best.size() == k_) return ~biased_.best.top();
    if (outside_ > 0 && biased_.outside.size() == outside_) return ~biased_.outside.top();
    return kNoRank;
  }

  /// Offers what a walk found, which it reorders: the nearest k first, as most of the others are
  /// then farther than the k-th best, however strong they are. keeps_all: these are met, too, by
  /// the kernel's scores, for codes may be wrong about them.
  Rank offer_found(std::span<Rank> found, bool keeps_all) {
    if (bias_ == nullptr || found.size() <= k_) return offer(found);
    std::nth_element(found.begin(), found.begin() + static_cast<std::ptrdiff_t>(k_), found.end());
    const Rank limit = offer(found.first(k_));
    const std::span<Rank> others = found.subspan(k_);
    for (const Rank rank : others) {
      if (!keeps_all || rank < limit || rank >= beyond_) continue;
      const Hit hit = BySlot::hit(rank);
      if (admission_(hit.slot)) biased_.met.push_back(hit);
    }
    return offer(others);
  }

  /// Offers those that are admitted. Returns bound().
  Rank offer(std::span<const Rank> ranks) {
    biased_.slots.clear();
    biased_.scores.clear();
    const Rank limit = bound();
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
      biased_.met.push_back({biased_.scores[i], biased_.slots[i]});
      const Rank rank = BySlot::rank(biased_.met.back());
      if (rank < beyond_) keep(rank, biased_.best, k_);
    }
    return bound();
  }

 private:
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
  const std::size_t k_;
  BiasedBeam& biased_;
  Rank beyond_ = kNoRank;
  std::size_t outside_ = 0;
};

}  // namespace engram::hnsw
