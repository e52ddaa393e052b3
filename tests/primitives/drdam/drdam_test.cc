// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "primitives/drdam/feature_energy.h"
#include "primitives/drdam/random_features.h"
#include "tests/support/seed.h"
#include "tests/support/test_collection.h"
#include "tests/support/vectors.h"

namespace engram::test::drdam_test {
namespace {

using drdam::FeatureEnergy;
using drdam::Place;
using drdam::RandomFeatures;
using drdam::Superposition;

constexpr std::size_t kDim = 8;

const Primitive& drdam_primitive() {
  return *find_primitive("drdam").value();
}

TestCollection memory_of(const Vectors& items, const std::vector<OptionText>& options,
                         Metric metric = Metric::kL2) {
  TestCollection memory(drdam_primitive(), metric, items.dim, options);
  memory.add_all(items);
  return memory;
}

double squared_distance(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += (double{a[i]} - b[i]) * (double{a[i]} - b[i]);
  return sum;
}

/// `vector` with noise of that length.
std::vector<float> near(Rng& rng, std::span<const float> vector, double length) {
  const Vectors noise = uniform_vectors(rng, 1, vector.size());
  const std::vector<float> zero(vector.size());
  const double scale = length / std::sqrt(squared_distance(noise[0], zero));
  std::vector<float> moved(vector.begin(), vector.end());
  for (std::size_t i = 0; i < moved.size(); ++i) {
    moved[i] += static_cast<float>(scale * double{noise[0][i]});
  }
  return moved;
}

/// The features of some items, summed up.
struct Sum {
  Sum(const Vectors& items, std::size_t count, double beta, std::uint64_t seed)
      : features(RandomFeatures::create(items.dim, count, beta, seed).value()),
        numbers(features.count()) {
    Scratch scratch;
    for (std::size_t i = 0; i < items.count(); ++i) {
      features.prepare(items[i].data(), scratch);
      features.apply(false, numbers, scratch);
    }
    std::vector<std::int64_t> signed_numbers(numbers.begin(), numbers.end());
    superposition.read(features, signed_numbers);
  }

  Place at(std::span<const float> vector) const {
    Place place;
    place.state.assign(vector.begin(), vector.end());
    FeatureEnergy(features, superposition).look(place);
    return place;
  }

  RandomFeatures features;
  std::vector<std::uint64_t> numbers;
  Superposition superposition;
};

TEST_CASE("primitives/drdam: features estimate the kernel, the better the more there are") {
  Rng rng = make_rng(1);
  constexpr double kBeta = 2;
  const Vectors items = uniform_vectors(rng, 40, kDim);
  double errors[2] = {};
  const std::size_t counts[] = {256, 16384};
  for (std::size_t c = 0; c < 2; ++c) {
    constexpr std::size_t kDraws = 8;
    for (std::size_t draw = 0; draw < kDraws; ++draw) {
      const Vectors item{kDim, {items[draw].begin(), items[draw].end()}};
      const Sum sum(item, counts[c], kBeta, rng());
      for (std::size_t i = 0; i < items.count(); ++i) {
        const double exact = std::exp(-kBeta / 2 * squared_distance(items[i], item[0]));
        const double error = sum.at(items[i]).kernels - exact;
        errors[c] += error * error;
      }
    }
    errors[c] = std::sqrt(errors[c] / static_cast<double>(kDraws * items.count()));
    const double most = 1 / std::sqrt(2 * static_cast<double>(counts[c]));
    CAPTURE(errors[c]);
    CHECK(errors[c] <= 1.3 * most);
    CHECK(errors[c] >= 0.5 * most);
  }
  CHECK(errors[0] / errors[1] == doctest::Approx(8).epsilon(0.4));
}

TEST_CASE("primitives/drdam: what is nothing is as far from 0 as the noise says") {
  Rng rng = make_rng(2);
  const Vectors apart = uniform_vectors(rng, 200, kDim);
  const Vectors together = equal_vectors(200, kDim, 0.3F);
  for (const Vectors* items : {&apart, &together}) {
    const Sum sum(*items, 1024, 100, rng());
    double squares = 0;
    constexpr std::size_t kCues = 400;
    const Vectors cues = uniform_vectors(rng, kCues, kDim);
    for (std::size_t i = 0; i < kCues; ++i) {
      std::vector<float> far(cues[i].begin(), cues[i].end());
      for (float& value : far) value = 5 + 10 * value;
      squares += std::pow(sum.at(far).kernels, 2);
    }
    CHECK(std::sqrt(squares / kCues) == doctest::Approx(sum.superposition.noise()).epsilon(0.25));
  }
}

TEST_CASE("primitives/drdam: the gradient is that of the energy") {
  Rng rng = make_rng(3);
  const Vectors items = uniform_vectors(rng, 20, kDim);
  const Sum sum(items, 512, 3, 7);
  const FeatureEnergy energy(sum.features, sum.superposition);
  std::size_t compared = 0;
  for (std::size_t i = 0; i < items.count(); ++i) {
    Place place = sum.at(near(rng, items[i], 0.2));
    if (!energy.covers(place)) continue;
    std::vector<double> gradient;
    energy.gradient(place, gradient);
    for (std::size_t k = 0; k < kDim; ++k) {
      constexpr double kStep = 1e-5;
      Place above = place;
      Place below = place;
      above.state[k] += kStep;
      below.state[k] -= kStep;
      energy.look(above);
      energy.look(below);
      const double difference = (above.energy - below.energy) / (2 * kStep);
      CHECK(std::abs(difference - gradient[k]) <= 1e-6 * (1 + std::abs(difference)));
      ++compared;
    }
  }
  CHECK(compared > 0);
}

TEST_CASE("primitives/drdam: a row that is not finite leaves nothing, and takes nothing away") {
  const auto features = RandomFeatures::create(3, 32, 10, 1).value();
  Scratch scratch;
  std::vector<std::uint64_t> sum(features.count(), 5);
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const std::vector<float>& row : {std::vector<float>{0, kInfinity, 1},
                                        {std::nanf(""), 0, 0},
                                        {-kInfinity, kInfinity, kInfinity}}) {
    features.prepare(row.data(), scratch);
    features.apply(false, sum, scratch);
    features.apply(true, sum, scratch);
    CHECK(sum == std::vector<std::uint64_t>(features.count(), 5));
  }
}

TEST_CASE("primitives/drdam: energies never rise, and a step comes to rest lower than it began") {
  Rng rng = make_rng(4);
  const Vectors items = clustered_vectors(rng, 300, kDim, 30);
  std::size_t moved = 0;
  for (const std::string_view beta : {"1", "10", "100"}) {
    CAPTURE(beta);
    TestCollection memory = memory_of(items, {{"BETA", beta}, {"FEATURES", "1024"}});
    for (std::size_t i = 0; i < 60; ++i) {
      const Recall recall = memory.recall_from({.vector = near(rng, items[i], 0.2)});
      CHECK(std::is_sorted(recall.energies.rbegin(), recall.energies.rend()));
      CHECK(recall.energies.size() == recall.steps + 1);
      moved += recall.steps > 0 && recall.energies.back() < recall.energies.front();
    }
  }
  CHECK(moved > 60);  // where the wells are narrow, at 100, few cues lie in one
}

/// That not one bit differs.
void check_identical(const Recall& a, const Recall& b) {
  REQUIRE(a.state.size() == b.state.size());
  for (std::size_t i = 0; i < a.state.size(); ++i) {
    CHECK(std::bit_cast<std::uint32_t>(a.state[i]) == std::bit_cast<std::uint32_t>(b.state[i]));
  }
  REQUIRE(a.energies.size() == b.energies.size());
  for (std::size_t i = 0; i < a.energies.size(); ++i) {
    CHECK(std::bit_cast<std::uint64_t>(a.energies[i]) ==
          std::bit_cast<std::uint64_t>(b.energies[i]));
  }
  CHECK(a.support == b.support);
  CHECK(a.distance == b.distance);
}

TEST_CASE("primitives/drdam: an erase takes back all that an insert did") {
  Rng rng = make_rng(5);
  const Vectors items = uniform_vectors(rng, 100, kDim);
  const Vectors others = uniform_vectors(rng, 500, kDim);
  for (const Metric metric : kMetrics) {
    CAPTURE(metric_name(metric));
    TestCollection memory = memory_of(items, {}, metric);
    const Recall before = memory.recall_from({.vector = items[3]});
    std::vector<Slot> added;
    for (std::size_t i = 0; i < others.count(); ++i) added.push_back(memory.add(others[i]));
    CHECK(memory.recall_from({.vector = items[3]}).energies != before.energies);
    for (const Slot slot : added) memory.erase(slot);
    check_identical(memory.recall_from({.vector = items[3]}), before);
  }
}

TEST_CASE("primitives/drdam: with many features a recall is that of exact kernels") {
  if (!is_registered("hopfield")) return;  // which has them
  Rng rng = make_rng(6);
  Vectors items = uniform_vectors(rng, 2 * kDim, kDim);
  // Near the unit vectors and their opposites: no well runs into another.
  for (std::size_t i = 0; i < items.values.size(); ++i) items.values[i] *= 0.1F;
  for (std::size_t i = 0; i < items.count(); ++i) {
    items.values[i * kDim + i / 2] += i % 2 == 0 ? 1.0F : -1.0F;
  }
  const std::vector<OptionText> options{{"FEATURES", "65536"}, {"BETA", "10"}, {"TOL", "1e-6"}};
  TestCollection memory = memory_of(items, options);
  TestCollection exact(*find_primitive("hopfield").value(), Metric::kL2, kDim,
                       {{"GRAPH", "none"}, {"BETA", "10"}, {"TOL", "1e-6"}});
  exact.add_all(items);
  for (std::size_t i = 0; i < items.count(); ++i) {
    const std::vector<float> cue = near(rng, items[i], 0.3);
    const Recall recall = memory.recall_from({.vector = cue});
    const Recall expected = exact.recall_from({.vector = cue});
    CHECK(!recall.outside);
    CHECK(recall.converged);
    CHECK(recall.onestep->slot == expected.onestep->slot);
    CHECK(recall.onestep->weight == doctest::Approx(expected.onestep->weight).epsilon(1e-4));
    CHECK(recall.attractor->slot == expected.attractor->slot);
    // Noise moves a well by about sqrt(dim N / (2 Y beta)), 0.01.
    CHECK(std::sqrt(squared_distance(recall.state, expected.state)) < 0.05);
    CHECK(std::abs(recall.energies.front() - expected.energies.front()) < 0.01);
  }
}

TEST_CASE("primitives/drdam: what a mask leaves visible stays as it is, to the bit") {
  Rng rng = make_rng(7);
  const std::vector<CoordinateRange> visible{{0, 3}, {4, kDim}};
  for (const Metric metric : {Metric::kL2, Metric::kDot}) {
    double before = 0;
    double after = 0;
    for (int memories = 0; memories < 4; ++memories) {  // of one, some draws know too little
      const Vectors items = uniform_vectors(rng, 20, kDim);
      TestCollection memory = memory_of(items, {{"FEATURES", "8192"}, {"BETA", "4"}}, metric);
      for (std::size_t i = 0; i < items.count(); ++i) {
        std::vector<float> cue(items[i].begin(), items[i].end());
        cue[1] = -0.0F;
        cue[3] = 99;
        const Recall recall = memory.recall_from({.vector = cue, .visible = &visible});
        for (std::size_t k = 0; k < kDim; ++k) {
          if (k == 3) continue;
          CHECK(std::bit_cast<std::uint32_t>(recall.state[k]) ==
                std::bit_cast<std::uint32_t>(cue[k]));
        }
        CHECK(std::is_sorted(recall.energies.rbegin(), recall.energies.rend()));
        before += std::pow(items[i][3], 2);
        after += std::pow(recall.state[3] - items[i][3], 2);
      }
    }
    CHECK(after < 0.8 * before);
  }
}

TEST_CASE("primitives/drdam: a mask under cosine is refused") {
  Rng rng = make_rng(8);
  const Vectors items = uniform_vectors(rng, 20, kDim);
  const std::vector<CoordinateRange> half{{0, kDim / 2}};
  for (const Metric metric : kMetrics) {
    TestCollection memory = memory_of(items, {}, metric);
    Recall recall;
    const Status masked = memory.index().recaller()->recall({.vector = items[1], .visible = &half},
                                                            {}, memory.scratch(), recall);
    CHECK(masked.has_value() == (metric != Metric::kCosine));
  }
}

TEST_CASE("primitives/drdam: a cue like no item is outside, and stays where it is") {
  Rng rng = make_rng(9);
  const Vectors items = uniform_vectors(rng, 100, kDim);
  TestCollection memory = memory_of(items, {{"BETA", "50"}});
  memory.tune();
  std::size_t outside = 0;
  constexpr std::size_t kCues = 200;
  for (std::size_t i = 0; i < kCues; ++i) {
    const std::vector<float> cue = near(rng, items[i % items.count()], 20);
    const Recall recall = memory.recall_from({.vector = cue});
    CHECK(recall.attractor.has_value());
    if (!recall.outside) continue;
    ++outside;
    CHECK(recall.converged);
    CHECK(recall.state == cue);
    CHECK(recall.steps == 0);
    CHECK(recall.novel == true);
  }
  // One in 44 is above two standard deviations.
  CHECK(outside > kCues * 9 / 10);
  for (std::size_t i = 0; i < items.count(); ++i) {
    CHECK(!memory.recall_from({.vector = items[i]}).outside);
  }
}

TEST_CASE("primitives/drdam: the size of the memory does not depend on how many items there are") {
  Rng rng = make_rng(10);
  TestCollection memory = memory_of(uniform_vectors(rng, 10, kDim), {});
  const std::size_t bytes = memory.index().memory_bytes();
  CHECK(bytes >= 2048 * (kDim + 2) * sizeof(double));
  memory.add_all(uniform_vectors(rng, 2000, kDim));
  CHECK(memory.index().memory_bytes() - bytes < 10'000);  // a bit for each item, in steps
}

TEST_CASE("primitives/drdam: the seed decides the features, and nothing else does") {
  Rng rng = make_rng(11);
  const Vectors items = uniform_vectors(rng, 50, kDim);
  TestCollection one = memory_of(items, {{"SEED", "5"}});
  TestCollection same = memory_of(items, {{"SEED", "5"}});
  TestCollection other = memory_of(items, {{"SEED", "6"}});
  check_identical(one.recall_from({.vector = items[0]}), same.recall_from({.vector = items[0]}));
  CHECK(one.energy(items[0]) != other.energy(items[0]));
}

TEST_CASE("primitives/drdam: options that cannot be kept are refused with a sentence") {
  const auto parsed = [](const std::vector<OptionText>& given) {
    return Options::parse(drdam_primitive().create_options, given);
  };
  CHECK(!parsed({{"FEATURES", "0"}}).has_value());
  CHECK(!parsed({{"BETA", "0"}}).has_value());
  CHECK(!parsed({{"BETA", "nan"}}).has_value());
  const std::vector<OptionText> beta{{"BETA", "3"}};
  CHECK(!Options::parse(drdam_primitive().recall_options, beta).has_value());
  const auto index = make_index({.dim = 4096,
                                 .metric = Metric::kL2,
                                 .primitive = &drdam_primitive(),
                                 .options = parsed({{"FEATURES", "8193"}}).value()});
  REQUIRE(!index.has_value());
  CHECK(index.error().code == ErrorCode::kInvalidArgument);
  CHECK(index.error().message.find("33554432") != std::string::npos);
}

}  // namespace
}  // namespace engram::test::drdam_test
