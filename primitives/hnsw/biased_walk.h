// SPDX-License-Identifier: Apache-2.0
// Walking level 0 farther than the nearest: for answers that are ranked by effective scores
// (core/bias.h), and for all within a radius. The walk itself goes by the kernel's scores, which
// the graph was built by and which bound the effective ones from below.
#pragma once

#include <cstddef>
#include <limits>
#include <span>
#include <vector>

#include "core/bias.h"
#include "primitives/hnsw/filtered_walk.h"
#include "primitives/hnsw/order.h"
#include "primitives/hnsw/rank_heap.h"
#include "primitives/hnsw/search_layer.h"

namespace engram::hnsw {

/// The reusable memory of a biased walk, beside a Beam.
struct BiasedBeam {
  RankHeap best;                // the complements of the k best by effective score
  std::vector<Slot> slots;      // of one batch: answers
  std::vector<float> scores;    // theirs
  std::vector<Hit> met;         // all answers that were worth a look, by effective score
  std::vector<Rank> passed;     // what the plain walk passed by
  std::vector<Rank> displaced;  // what it had among the nearest for a while

  void clear() {
    best.clear();
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
  /// bias: null where effective scores are the kernel's. max_score: the radius, or infinity.
  BestByBias(const ScoreBias* bias, const Admission& admission, std::size_t k, float max_score,
             BiasedBeam& biased)
      : bias_(bias), admission_(admission), k_(k), biased_(biased), bound_(beyond(max_score)) {}

  /// Makes the radius larger. Nothing was offered yet.
  void reach(float max_score) noexcept { bound_ = beyond(max_score); }

  /// What is not nearer by the kernel's score is not among them.
  Rank bound() const noexcept { return bound_; }

  /// Offers those that are admitted. Returns bound().
  Rank offer(std::span<const Rank> ranks) {
    biased_.slots.clear();
    biased_.scores.clear();
    for (const Rank rank : ranks) {
      const Hit hit = BySlot::hit(rank);
      if (rank >= bound_ || !admission_(hit.slot)) continue;
      biased_.slots.push_back(hit.slot);
      biased_.scores.push_back(hit.score);
    }
    if (bias_ != nullptr) bias_->apply(biased_.slots, biased_.scores);
    for (std::size_t i = 0; i < biased_.slots.size(); ++i) {
      biased_.met.push_back({biased_.scores[i], biased_.slots[i]});
      keep(BySlot::rank(biased_.met.back()));
    }
    return bound_;
  }

 private:
  /// The least rank of a score that is greater; kNoRank for infinity.
  static Rank beyond(float max_score) noexcept {
    if (max_score == std::numeric_limits<float>::infinity()) return kNoRank;
    return (Rank{ordered_bits(max_score)} + 1) << 32;
  }

  void keep(Rank rank) {
    if (rank >= bound_) return;
    if (biased_.best.size() < k_) {
      biased_.best.push(~rank);
    } else {
      biased_.best.replace_top(~rank);
    }
    if (biased_.best.size() == k_) bound_ = ~biased_.best.top();
  }

  const ScoreBias* bias_;
  const Admission admission_;
  const std::size_t k_;
  BiasedBeam& biased_;
  Rank bound_;
};

}  // namespace engram::hnsw
