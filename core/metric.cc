// SPDX-License-Identifier: Apache-2.0
#include "core/metric.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

#include "core/text.h"

namespace engram {
namespace {

/// The root of kLeastSquare, and its bits: non-negative floats compare as their bits do.
constexpr float kLeastRoot = 0x1p-42F;
constexpr auto kLeastRootBits = std::bit_cast<std::uint32_t>(kLeastRoot);
constexpr std::uint32_t kSignBit = 0x80000000U;

/// The distance that a score below kLeastSquare stands for.
float small_distance(float score) noexcept {
  const std::uint32_t size = std::bit_cast<std::uint32_t>(score) & ~kSignBit;
  const bool is_distance = size > 0 && size <= kLeastRootBits;
  return is_distance ? std::bit_cast<float>(kLeastRootBits - size) : 0.0F;
}

}  // namespace

std::string_view metric_name(Metric metric) noexcept {
  switch (metric) {
    case Metric::kL2:
      return "l2";
    case Metric::kCosine:
      return "cosine";
    case Metric::kDot:
      return "dot";
  }
  return "";
}

std::optional<Metric> metric_from_name(std::string_view name) noexcept {
  for (const Metric metric : kMetrics) {
    if (equal_ignoring_case(name, metric_name(metric))) return metric;
  }
  return std::nullopt;
}

float l2_score(double square) noexcept {
  if (!(square < double{kLeastSquare})) return static_cast<float>(square);
  const auto distance = static_cast<float>(std::sqrt(square));
  if (distance == kLeastRoot) return kLeastSquare;  // rounded up
  return std::bit_cast<float>(kSignBit | (kLeastRootBits - std::bit_cast<std::uint32_t>(distance)));
}

double squared_distance(float score) noexcept {
  if (!(score <= 0)) return double{score};
  const double distance = small_distance(score);
  return distance * distance;
}

float score_to_distance(Metric metric, float score) noexcept {
  switch (metric) {
    case Metric::kL2:
      return score <= 0 ? small_distance(score) : std::sqrt(score);
    case Metric::kCosine:
      // Rounding can carry the product of two unit vectors just past 1.
      return std::clamp(1.0F + score, 0.0F, 2.0F);
    case Metric::kDot:
      return score;
  }
  return score;
}

}  // namespace engram
