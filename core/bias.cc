// SPDX-License-Identifier: Apache-2.0
#include "core/bias.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <limits>

namespace engram {
namespace {

/// Scores end where float32 does: a sum beyond it ties with the others there.
float narrowed(double score) noexcept {
  return static_cast<float>(std::min(score, double{std::numeric_limits<float>::max()}));
}

}  // namespace

void ScoreBias::apply(std::span<const Slot> slots, std::span<float> scores) const noexcept {
  std::array<double, 64> nats;
  for (std::size_t begin = 0; begin < slots.size(); begin += nats.size()) {
    const std::size_t count = std::min(nats.size(), slots.size() - begin);
    bias_->handicaps(slots.subspan(begin, count), {nats.data(), count});
    for (std::size_t i = 0; i < count; ++i) {
      const double penalty = nats[i] * nat_;
      float& score = scores[begin + i];
      if (!(penalty > 0)) continue;  // what nothing is added to keeps its bits
      score = metric_ == Metric::kL2 ? l2_score(std::min(squared_distance(score) + penalty,
                                                         double{std::numeric_limits<float>::max()}))
                                     : narrowed(double{score} + penalty);
    }
  }
}

float ScoreBias::distance(float score) const noexcept {
  if (metric_ == Metric::kCosine && score > 1) return 1.0F + score;
  return score_to_distance(metric_, score);
}

}  // namespace engram
