// SPDX-License-Identifier: Apache-2.0
#include "core/row.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>

namespace engram {
namespace {

/// In double and over several lanes, so that it neither overflows nor waits for one long chain of
/// additions.
double squared_norm(std::span<const float> vector) noexcept {
  constexpr std::size_t kLanes = 8;
  double lanes[kLanes] = {};
  const std::size_t whole = vector.size() / kLanes * kLanes;
  for (std::size_t i = 0; i < whole; i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      const double value = vector[i + lane];
      lanes[lane] += value * value;
    }
  }
  double sum = 0;
  for (std::size_t i = whole; i < vector.size(); ++i) {
    sum += static_cast<double>(vector[i]) * vector[i];
  }
  for (const double lane : lanes) sum += lane;
  return sum;
}

}  // namespace

Status check_vector(std::span<const float> vector) {
  const double squared = squared_norm(vector);
  if (squared <= kMaxNorm * kMaxNorm) return {};  // false for NaN and infinity, too
  for (std::size_t i = 0; i < vector.size(); ++i) {
    if (std::isfinite(vector[i])) continue;
    return fail(ErrorCode::kInvalidArgument, "vector component " + std::to_string(i) + " is " +
                                                 (std::isnan(vector[i]) ? "NaN" : "infinite") +
                                                 ", expected a finite number");
  }
  return fail(ErrorCode::kInvalidArgument,
              "vector is too long for float32 distances: its norm exceeds 4.6e18");
}

float encode_row(Metric metric, std::span<const float> vector, std::byte* row) {
  const std::size_t bytes = vector.size_bytes();
  std::memset(row + bytes, 0, row_bytes(vector.size()) - bytes);
  if (metric == Metric::kCosine) {
    const double squared = squared_norm(vector);
    const bool is_unit = std::abs(squared - 1.0) <= 4 * std::numeric_limits<float>::epsilon();
    if (squared > 0 && !is_unit) {
      const double norm = std::sqrt(squared);
      auto* const out = reinterpret_cast<float*>(row);
      std::transform(vector.begin(), vector.end(), out,
                     [norm](float value) { return static_cast<float>(value / norm); });
      return static_cast<float>(norm);
    }
  }
  std::memcpy(row, vector.data(), bytes);
  return 1.0F;
}

void decode_row(const std::byte* row, float factor, std::span<float> vector) {
  const auto* const values = reinterpret_cast<const float*>(row);
  std::transform(values, values + vector.size(), vector.begin(),
                 [factor](float value) { return value * factor; });
}

}  // namespace engram
