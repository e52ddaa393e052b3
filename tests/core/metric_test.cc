// SPDX-License-Identifier: Apache-2.0
#include "core/metric.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

namespace engram::metric_test {
namespace {

TEST_CASE("core/metric: a metric is found by its name in any letter case") {
  for (const Metric metric : kMetrics) CHECK(metric_from_name(metric_name(metric)) == metric);
  CHECK(metric_from_name("L2") == Metric::kL2);
  CHECK(metric_from_name("CoSine") == Metric::kCosine);
  CHECK(!metric_from_name("").has_value());
  CHECK(!metric_from_name("euclid").has_value());
}

TEST_CASE("core/metric: l2 scores are squared distances and never give a negative one") {
  CHECK(score_to_distance(Metric::kL2, 25.0F) == 5.0F);
  CHECK(score_to_distance(Metric::kL2, -1e-6F) == 0.0F);
}

TEST_CASE("core/metric: l2 scores ascend with the distance over the range of float32") {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  CHECK(score_to_distance(Metric::kL2, l2_score(0)) == 0);
  CHECK(squared_distance(l2_score(0)) == 0);
  CHECK(std::isnan(l2_score(std::numeric_limits<double>::quiet_NaN())));
  float last = 0;  // the distance before, and its score
  float last_score = l2_score(0);
  // Some floats of each binade, and their successors, which below 2^-42 have scores of their own.
  for (int exponent = -149; exponent <= 62; ++exponent) {
    for (const double mantissa : {1.0, 1.0 + 0x1p-20, 1.375, 2 - 0x1p-22}) {
      const auto distance = static_cast<float>(std::ldexp(mantissa, exponent));
      for (const float each : {distance, std::nextafter(distance, kInfinity)}) {
        if (each <= last) continue;  // denormals have fewer
        CAPTURE(each);
        const float score = l2_score(double{each} * double{each});
        CHECK(score >= last_score);
        if (each < 0x1p-42F) CHECK(score > last_score);
        last = each;
        last_score = score;
        const double back = score_to_distance(Metric::kL2, score);
        CHECK(std::abs(back - double{each}) <= 0x1p-23 * double{each});
        const double root = std::sqrt(squared_distance(score));
        CHECK(std::abs(root - double{each}) <= 0x1p-23 * double{each});
        if (each < 0x1p-42F) CHECK(score_to_distance(Metric::kL2, score) == each);
      }
    }
  }
}

TEST_CASE("core/metric: cosine distances stay in [0, 2] when rounding carries a score past 1") {
  CHECK(score_to_distance(Metric::kCosine, -0.25F) == 0.75F);
  CHECK(score_to_distance(Metric::kCosine, -1.000001F) == 0.0F);
  CHECK(score_to_distance(Metric::kCosine, 1.000001F) == 2.0F);
}

TEST_CASE("core/metric: dot scores are distances already") {
  CHECK(score_to_distance(Metric::kDot, -7.5F) == -7.5F);
}

}  // namespace
}  // namespace engram::metric_test
