// SPDX-License-Identifier: Apache-2.0
// Walking level 0 where answers are ranked by effective scores (core/bias.h): the walk itself goes
// by the kernel's, which the graph was built by and which bound the effective ones from below.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "core/bias.h"
#include "core/slot_set.h"
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
};

/// The k best by effective score of the nodes that are offered with the kernel's.
class BestByBias {
 public:
  BestByBias(const ScoreBias& bias, const SlotSet& held, std::size_t k, BiasedBeam& biased)
      : bias_(bias), held_(held), k_(k), biased_(biased) {}

  /// What is not nearer by the kernel's score is not among them.
  Rank bound() const noexcept { return bound_; }

  /// Offers those that are held. Returns bound().
  Rank offer(std::span<const Rank> ranks) {
    biased_.slots.clear();
    biased_.scores.clear();
    for (const Rank rank : ranks) {
      const Hit hit = BySlot::hit(rank);
      if (rank >= bound_ || !held_.contains(hit.slot)) continue;
      biased_.slots.push_back(hit.slot);
      biased_.scores.push_back(hit.score);
    }
    bias_.apply(biased_.slots, biased_.scores);
    for (std::size_t i = 0; i < biased_.slots.size(); ++i) {
      biased_.met.push_back({biased_.scores[i], biased_.slots[i]});
      keep(BySlot::rank(biased_.met.back()));
    }
    return bound_;
  }

 private:
  void keep(Rank rank) {
    if (biased_.best.size() < k_) {
      biased_.best.push(~rank);
    } else if (rank < bound_) {
      biased_.best.replace_top(~rank);
    }
    if (biased_.best.size() == k_) bound_ = ~biased_.best.top();
  }

  const ScoreBias& bias_;
  const SlotSet& held_;
  const std::size_t k_;
  BiasedBeam& biased_;
  Rank bound_ = kNoRank;
};

}  // namespace engram::hnsw
