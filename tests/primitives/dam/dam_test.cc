// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "tests/support/seed.h"
#include "tests/support/signs.h"
#include "tests/support/test_collection.h"

namespace engram::test::dam_test {
namespace {

using Given = std::vector<OptionText>;

const Primitive& dam() {
  return *find_primitive("dam").value();
}

TestCollection memory_of(const Vectors& items) {
  TestCollection memory(dam(), Metric::kDot, items.dim);
  memory.add_all(items);
  return memory;
}

/// -sum of F over overlaps, as the definition has it; -ln of the sum for exp.
double energy_of(const Vectors& items, std::span<const float> state, std::string_view shape,
                 double power) {
  double sum = 0;
  for (std::size_t i = 0; i < items.count(); ++i) {
    const double product = overlap(items[i], state);
    const double share = product / static_cast<double>(items.dim);
    if (shape == "exp") sum += std::exp(product);
    if (shape == "power") sum += std::pow(share, power);
    if (shape == "rectified") sum += std::pow(std::max(share, 0.0), power);
  }
  return shape == "exp" ? -std::log(sum) : -sum;
}

TEST_CASE(
    "primitives/dam: energies are those of the definition, and no flip of a sign lowers that "
    "of a state at rest") {
  Rng rng = make_rng(1);
  const Vectors items = random_signs(rng, 40, 37);
  TestCollection memory = memory_of(items);
  const Vectors cues = random_signs(rng, 12, 37);
  for (const auto& function : {std::pair<std::string, std::string>{"exp", "3"},
                               {"power", "2"},
                               {"power", "3"},
                               {"rectified", "3"},
                               {"rectified", "100"}}) {
    const std::string& shape = function.first;
    const std::string& power = function.second;
    CAPTURE(shape);
    CAPTURE(power);
    const auto energy = [&](std::span<const float> state) {
      return energy_of(items, state, shape, std::stod(power));
    };
    for (std::size_t i = 0; i < cues.count(); ++i) {
      const Recall recall = memory.recall_from(cues[i], {{"SHAPE", shape}, {"POWER", power}});
      REQUIRE(recall.converged);
      CHECK(recall.energies.front() == doctest::Approx(energy(cues[i])).epsilon(1e-9));
      const double lowest = energy(recall.state);
      CHECK(recall.energies.back() == doctest::Approx(lowest).epsilon(1e-9));
      for (std::size_t k = 0; k < items.dim; ++k) {
        std::vector<float> flipped = recall.state;
        flipped[k] = -flipped[k];
        CHECK(energy(flipped) >= lowest - 1e-9 * std::abs(lowest));
      }
    }
  }
}

/// Far beyond the 0.138 patterns per dimension of the classical memory.
TEST_CASE(
    "primitives/dam: an exponential energy brings twenty times as many patterns as "
    "dimensions back from a tenth of wrong signs") {
  Rng rng = make_rng(2);
  constexpr std::size_t kDim = 100;
  const Vectors items = random_signs(rng, 20 * kDim, kDim);
  TestCollection memory = memory_of(items);
  for (std::size_t i = 0; i < 50; ++i) {
    const Recall recall = memory.recall_from(with_flips(rng, items[i], kDim / 10), Given{});
    CHECK(std::equal(recall.state.begin(), recall.state.end(), items[i].begin()));
    CHECK(recall.attractor->slot == i);
    CHECK(recall.kind == RecallKind::kPattern);
    CHECK(recall.distance == -static_cast<float>(kDim));
  }
}

TEST_CASE("primitives/dam: what a mask shows stays, and what it hides comes back") {
  Rng rng = make_rng(3);
  constexpr std::size_t kDim = 200;
  const Vectors items = random_signs(rng, 300, kDim);
  TestCollection memory = memory_of(items);
  const std::vector<CoordinateRange> visible{{10, 70}, {150, 151}};
  for (std::size_t i = 0; i < 20; ++i) {
    std::vector<float> cue(kDim, 0.5F);  // hidden numbers mean nothing
    for (const auto& [begin, end] : visible) {
      for (std::size_t k = begin; k < end; ++k) cue[k] = items[i][k];
    }
    const Recall recall = memory.recall_from({.vector = cue, .visible = &visible});
    CHECK(std::equal(recall.state.begin(), recall.state.end(), items[i].begin()));
    // Against what the memory holds, too.
    const Recall other = memory.recall_from({.vector = items[i], .visible = &visible});
    CHECK(other.state == recall.state);
  }
  std::vector<float> stranger(kDim, 1.0F);
  const Recall recall = memory.recall_from({.vector = stranger, .visible = &visible});
  for (const auto& [begin, end] : visible) {
    for (std::size_t k = begin; k < end; ++k) CHECK(recall.state[k] == 1.0F);
  }
}

TEST_CASE("primitives/dam: thousands of dimensions leave the range of no double") {
  Rng rng = make_rng(4);
  constexpr std::size_t kDim = 5000;  // e^5000 is not a double
  const Vectors items = random_signs(rng, 10, kDim);
  TestCollection memory = memory_of(items);
  for (const std::string shape : {"exp", "rectified", "power"}) {
    CAPTURE(shape);
    const Recall recall =
        memory.recall_from(with_flips(rng, items[3], 2000), {{"SHAPE", shape}, {"POWER", "100"}});
    CHECK(std::equal(recall.state.begin(), recall.state.end(), items[3].begin()));
    CHECK(std::isfinite(recall.energies.back()));
  }
}

/// Were the scale not to fit such overlaps, each of 10,000 hidden signs would have a table of
/// 40,005 powers made anew.
TEST_CASE("primitives/dam: a cue that is opposed to all items is recalled as fast as any") {
  constexpr std::size_t kDim = 20'000;
  TestCollection memory = memory_of(equal_vectors(1, kDim, 1.0F));
  const Vectors cue = equal_vectors(1, kDim, -1.0F);
  const std::vector<CoordinateRange> visible{{0, kDim / 2}};
  const std::vector<OptionText> given{{"SHAPE", "rectified"}};
  const Options options = Options::parse(dam().recall_options, given).value();
  const Recall recall =
      memory.recall_from({.vector = cue[0], .visible = &visible}, {.options = &options});
  CHECK(recall.converged);
}

TEST_CASE("primitives/dam: choices that make no difference are not made for ever") {
  // Every state between an item and its opposite has the same energy to its other neighbours.
  Rng rng = make_rng(5);
  const Vectors half = random_signs(rng, 8, 9);
  TestCollection memory(dam(), Metric::kDot, half.dim);
  for (std::size_t i = 0; i < half.count(); ++i) {
    std::vector<float> opposite(half[i].begin(), half[i].end());
    memory.add(opposite);
    for (float& value : opposite) value = -value;
    memory.add(opposite);
  }
  const Vectors cues = random_signs(rng, 200, half.dim);
  for (const std::string power : {"2", "3", "7"}) {
    for (std::size_t i = 0; i < cues.count(); ++i) {
      CHECK(memory.recall_from(cues[i], {{"SHAPE", "power"}, {"POWER", power}}).converged);
    }
  }
}

}  // namespace
}  // namespace engram::test::dam_test
