// SPDX-License-Identifier: Apache-2.0
#include "core/metric.h"

#include <doctest/doctest.h>

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
