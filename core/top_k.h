// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>
#include <span>
#include <vector>

#include "core/slot.h"

namespace engram {

/// The k least Hits of a stream, by (score, slot): a max-heap whose top is the one to beat, so most
/// scores cost one comparison. Builds in the caller's vector, which keeps its memory between
/// queries.
class TopK {
 public:
  /// max_score: what is offered by runs or all at once is passed over if it is higher.
  TopK(std::size_t k, std::vector<Hit>& hits, float max_score = kInfinity)
      : k_(k), hits_(&hits), threshold_(k == 0 ? -kInfinity : max_score) {
    hits.clear();
  }

  /// A higher score is not among the k least.
  float threshold() const noexcept { return threshold_; }

  void offer(Hit hit) {
    if (hits_->size() < k_) {
      hits_->push_back(hit);
      std::push_heap(hits_->begin(), hits_->end());
    } else if (k_ > 0 && hit < hits_->front()) {
      std::pop_heap(hits_->begin(), hits_->end());
      hits_->back() = hit;
      std::push_heap(hits_->begin(), hits_->end());
    } else {
      return;
    }
    if (hits_->size() == k_) threshold_ = hits_->front().score;
  }

  /// Offers (scores[i], first + i) for all i.
  void offer_run(Slot first, std::span<const float> scores) {
    for (std::size_t i = 0; i < scores.size(); ++i) {
      if (scores[i] <= threshold_) offer({scores[i], first + static_cast<Slot>(i)});
    }
  }

  /// Offers (scores[i], slots[i]) for all i.
  void offer_all(std::span<const Slot> slots, std::span<const float> scores) {
    for (std::size_t i = 0; i < slots.size(); ++i) {
      if (scores[i] <= threshold_) offer({scores[i], slots[i]});
    }
  }

  /// Sorts the hits ascending; nothing may be offered afterwards.
  void finish() { std::sort_heap(hits_->begin(), hits_->end()); }

 private:
  static constexpr float kInfinity = std::numeric_limits<float>::infinity();

  std::size_t k_;
  std::vector<Hit>* hits_;
  float threshold_;
};

}  // namespace engram
