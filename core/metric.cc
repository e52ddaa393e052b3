// SPDX-License-Identifier: Apache-2.0
#include "core/metric.h"

#include <algorithm>
#include <cmath>

#include "core/text.h"

namespace engram {

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

float score_to_distance(Metric metric, float score) noexcept {
  switch (metric) {
    case Metric::kL2:
      return std::sqrt(std::max(score, 0.0F));
    case Metric::kCosine:
      // Rounding can carry the product of two unit vectors just past 1.
      return std::clamp(1.0F + score, 0.0F, 2.0F);
    case Metric::kDot:
      return score;
  }
  return score;
}

}  // namespace engram
