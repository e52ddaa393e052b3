// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <span>

#include "core/bias.h"
#include "core/slot.h"
#include "core/top_k.h"

namespace engram {

/// A TopK by effective scores, to which the kernel's are offered: a row whose own score is too high
/// already costs one comparison, as without a bias, and the others are biased in batches.
class BiasedTopK {
 public:
  BiasedTopK(TopK& nearest, const ScoreBias& bias) noexcept : nearest_(nearest), bias_(bias) {}

  /// Offers slots[i] with the kernel's scores[i].
  void offer_all(std::span<const Slot> slots, std::span<const float> scores) {
    for (std::size_t i = 0; i < slots.size(); ++i) collect(slots[i], scores[i]);
    flush();
  }

  /// The same of the slots from `first` on.
  void offer_run(Slot first, std::span<const float> scores) {
    for (std::size_t i = 0; i < scores.size(); ++i)
      collect(first + static_cast<Slot>(i), scores[i]);
    flush();
  }

 private:
  void collect(Slot slot, float score) {
    if (!(score <= nearest_.threshold())) return;
    slots_[count_] = slot;
    scores_[count_] = score;
    if (++count_ == slots_.size()) flush();
  }

  void flush() {
    bias_.apply({slots_.data(), count_}, {scores_.data(), count_});
    nearest_.offer_all({slots_.data(), count_}, {scores_.data(), count_});
    count_ = 0;
  }

  TopK& nearest_;
  const ScoreBias& bias_;
  std::array<Slot, 64> slots_;
  std::array<float, 64> scores_;
  std::size_t count_ = 0;
};

}  // namespace engram
