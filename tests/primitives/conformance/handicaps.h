// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <random>
#include <span>
#include <vector>

#include "core/bias.h"
#include "tests/support/vectors.h"

namespace engram::test {

/// Handicaps by slot, which may change while others read.
class Handicaps final : public Bias {
 public:
  explicit Handicaps(std::size_t slots) : nats_(slots) {}

  void handicaps(std::span<const Slot> slots, std::span<double> nats) const noexcept override {
    for (std::size_t i = 0; i < slots.size(); ++i) nats[i] = of(slots[i]);
  }

  double of(Slot slot) const noexcept { return nats_[slot].load(std::memory_order_relaxed); }
  void set(Slot slot, double nats) { nats_[slot].store(nats, std::memory_order_relaxed); }

  /// As if the items were last seen at any time of the last `half_lives`.
  void spread(Rng& rng, double half_lives) {
    std::uniform_real_distribution<double> age(0, half_lives * std::numbers::ln2);
    for (auto& nats : nats_) nats.store(age(rng), std::memory_order_relaxed);
  }

 private:
  std::vector<std::atomic<double>> nats_;
};

/// An effective score in double, of the kernel's.
inline double effective_score(Metric metric, float score, double nats, double beta) {
  return metric == Metric::kL2 ? squared_distance(score) + 2 * nats / beta
                               : double{score} + nats / beta;
}

/// float32's, of a sum of two.
inline double rounding_of(double score) {
  return 0x1p-22 * std::abs(score) + 1e-30;
}

}  // namespace engram::test
