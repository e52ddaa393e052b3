// SPDX-License-Identifier: Apache-2.0
#include "core/bias.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <limits>
#include <vector>

#include "core/biased_top_k.h"
#include "tests/support/seed.h"

namespace engram::test::bias_test {
namespace {

/// A tenth of the slot's number.
class Tenths final : public Bias {
 public:
  void handicaps(std::span<const Slot> slots, std::span<double> nats) const noexcept override {
    for (std::size_t i = 0; i < slots.size(); ++i) nats[i] = slots[i] / 10.0;
  }
};

TEST_CASE("core/bias: a handicap is divided by beta, and doubled where scores are squares") {
  const Tenths bias;
  const std::array<Slot, 2> slots = {0, 30};
  std::array<float, 2> scores = {4, 4};
  ScoreBias(bias, Metric::kL2, 2).apply(slots, scores);
  CHECK(scores == std::array<float, 2>{4, 7});
  scores = {-0.5F, -0.5F};
  ScoreBias(bias, Metric::kDot, 2).apply(slots, scores);
  CHECK(scores == std::array<float, 2>{-0.5F, 1});
}

TEST_CASE("core/bias: what nothing is added to keeps its bits, and damage stays damage") {
  const Tenths bias;
  const std::array<Slot, 3> slots = {0, 0, 5};
  std::array<float, 3> scores = {-0x1p-43F, -0.0F, std::numeric_limits<float>::quiet_NaN()};
  ScoreBias(bias, Metric::kL2, 1).apply(slots, scores);
  CHECK(scores[0] == -0x1p-43F);
  CHECK(scores[1] == 0);
  CHECK(scores[2] != scores[2]);
}

TEST_CASE("core/bias: effective distances go on where those of the metric end") {
  const Tenths bias;
  const ScoreBias cosine(bias, Metric::kCosine, 1);
  CHECK(cosine.distance(-1.0000001F) == 0);
  CHECK(cosine.distance(-0.25F) == 0.75F);
  CHECK(cosine.distance(4) == 5);
  CHECK(ScoreBias(bias, Metric::kL2, 1).distance(9) == 3);
  CHECK(ScoreBias(bias, Metric::kDot, 1).distance(9) == 9);
  std::array<float, 1> scores = {1};
  const std::array<Slot, 1> slots = {4'000'000};
  ScoreBias(bias, Metric::kL2, 1e-40).apply(slots, scores);
  CHECK(scores[0] == std::numeric_limits<float>::max());
}

TEST_CASE("core/bias: a biased TopK keeps the least effective scores, however they are offered") {
  auto rng = make_rng(80);
  const Tenths bias;
  const ScoreBias effective(bias, Metric::kDot, 4);
  std::vector<float> scores(500);
  std::vector<Slot> slots(500);
  for (std::size_t i = 0; i < scores.size(); ++i) {
    scores[i] = static_cast<float>(rng() % 100) / 8;
    slots[i] = static_cast<Slot>(i);
  }
  std::vector<float> biased = scores;
  effective.apply(slots, biased);
  std::vector<Hit> expected;
  for (std::size_t i = 0; i < scores.size(); ++i) expected.push_back({biased[i], slots[i]});
  std::sort(expected.begin(), expected.end());
  expected.resize(20);
  for (const bool is_run : {true, false}) {
    std::vector<Hit> hits;
    TopK nearest(20, hits);
    BiasedTopK offered(nearest, effective);
    if (is_run) {
      offered.offer_run(0, scores);
    } else {
      offered.offer_all(slots, scores);
    }
    nearest.finish();
    CHECK(hits == expected);
  }
}

}  // namespace
}  // namespace engram::test::bias_test
