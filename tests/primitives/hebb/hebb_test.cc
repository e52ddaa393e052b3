// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "tests/support/seed.h"
#include "tests/support/signs.h"
#include "tests/support/test_collection.h"

namespace engram::test::hebb_test {
namespace {

TestCollection memory_of(std::string_view primitive, const Vectors& items,
                         Metric metric = Metric::kDot) {
  TestCollection memory(*find_primitive(primitive).value(), metric, items.dim);
  memory.add_all(items);
  return memory;
}

/// -1/2 q^T W q from the definition.
double energy_of(const Vectors& items, std::span<const float> state) {
  const auto dim = static_cast<double>(items.dim);
  double sum = 0;
  for (std::size_t i = 0; i < items.count(); ++i) {
    sum += std::pow(overlap(items[i], state), 2) - dim;  // without the diagonal
  }
  return -sum / (2 * dim);
}

TEST_CASE("primitives/hebb: energies are those of the definition") {
  Rng rng = make_rng(1);
  const Vectors items = random_signs(rng, 30, 41);
  TestCollection memory = memory_of("hebb", items);
  const Vectors cues = random_signs(rng, 20, 41);
  for (std::size_t i = 0; i < cues.count(); ++i) {
    const Recall recall = memory.recall_from(cues[i], std::vector<OptionText>{});
    CHECK(recall.energies.front() == doctest::Approx(energy_of(items, cues[i])));
    CHECK(recall.energies.back() == doctest::Approx(energy_of(items, recall.state)));
  }
}

/// Krotov & Hopfield 2016: with F = z^2 the dense memory is the classical one. The one sums over
/// items, the other has forgotten them.
TEST_CASE("primitives/hebb: the matrix recalls as a dense memory of the second power does") {
  if (!find_primitive("dam")) return;  // built without
  Rng rng = make_rng(2);
  for (const std::size_t count : {1U, 5U, 40U}) {
    const Vectors items = random_signs(rng, count, 64);
    TestCollection matrix = memory_of("hebb", items);
    TestCollection dense = memory_of("dam", items);
    const Vectors cues = random_signs(rng, 40, 64);
    for (std::size_t i = 0; i < cues.count(); ++i) {
      const Recall a = matrix.recall_from(cues[i], std::vector<OptionText>{});
      const Recall b = dense.recall_from(cues[i], {{"SHAPE", "power"}, {"POWER", "2"}});
      CHECK(a.state == b.state);
      CHECK(a.steps == b.steps);
      CHECK(a.attractor->slot == b.attractor->slot);
      CHECK(a.attractor->weight == doctest::Approx(b.attractor->weight));
    }
  }
}

/// The field of the definition at coordinate k, of the visible ones: in whole numbers.
int field_at(const Vectors& items, std::span<const float> cue, const CoordinateRange& visible,
             std::size_t k) {
  int field = 0;
  for (std::size_t i = 0; i < items.count(); ++i) {
    int known = 0;
    for (std::size_t j = visible.begin; j < visible.end; ++j) {
      known += static_cast<int>(items[i][j] * cue[j]);
    }
    field += static_cast<int>(items[i][k]) * known;
  }
  return field;
}

TEST_CASE(
    "primitives/hebb: of a masked cue it recalls what a dense memory of the second power does") {
  if (!find_primitive("dam")) return;  // built without
  constexpr std::size_t kSigns = 30;
  Rng rng = make_rng(8);
  std::size_t zero_fields = 0;
  for (const std::size_t count : {2U, 3U, 6U, 11U}) {
    const Vectors items = random_signs(rng, count, kSigns);
    TestCollection matrix = memory_of("hebb", items);
    TestCollection dense = memory_of("dam", items);
    const Vectors cues = random_signs(rng, 150, kSigns);
    const std::vector<OptionText> given{{"SHAPE", "power"}, {"POWER", "2"}};
    const Options options = Options::parse(dense.primitive().recall_options, given).value();
    for (std::size_t i = 0; i < cues.count(); ++i) {
      const std::vector<CoordinateRange> visible{{0, 1 + rng() % (kSigns - 1)}};
      const std::size_t first = visible.front().end;  // of the hidden, the first that is turned
      const Recall a = matrix.recall_from({.vector = cues[i], .visible = &visible});
      const Recall b =
          dense.recall_from({.vector = cues[i], .visible = &visible}, {.options = &options});
      CHECK(a.state == b.state);
      CHECK(a.steps == b.steps);
      CHECK(a.attractor->slot == b.attractor->slot);
      CHECK(a.attractor->weight == doctest::Approx(b.attractor->weight));
      const int field = field_at(items, cues[i], visible.front(), first);
      zero_fields += field == 0;
    }
  }
  CHECK(zero_fields > 30);
}

TEST_CASE("primitives/hebb: where the field is zero a hidden sign becomes -1, as a zero counts") {
  // Two items that agree nowhere but in the first sign pull the others to both sides.
  const Vectors items{4, {1, 1, 1, 1, 1, -1, -1, -1}};
  const std::vector<float> cue{1, 0, 0, 0};
  const std::vector<CoordinateRange> visible{{0, 1}};
  const std::vector<float> expected{1, -1, -1, -1};
  CHECK(memory_of("hebb", items).recall_from({.vector = cue, .visible = &visible}).state ==
        expected);
  if (!find_primitive("dam")) return;  // built without
  TestCollection dense = memory_of("dam", items);
  for (const std::string shape : {"power", "rectified", "exp"}) {
    const std::vector<OptionText> words{{"SHAPE", shape}, {"POWER", "2"}};
    const Options options = Options::parse(dense.primitive().recall_options, words).value();
    CHECK(dense.recall_from({.vector = cue, .visible = &visible}, {.options = &options}).state ==
          expected);
  }
}

/// Amit, Gutfreund & Sompolinsky 1985: up to about 0.138 patterns for each dimension.
TEST_CASE("primitives/hebb: patterns are kept below capacity, and lost above") {
  Rng rng = make_rng(3);
  constexpr std::size_t kDim = 400;
  const auto mean_overlap = [&](std::size_t count) {
    const Vectors items = random_signs(rng, count, kDim);
    TestCollection memory = memory_of("hebb", items);
    double sum = 0;
    for (std::size_t i = 0; i < 20; ++i) {
      const Recall recall = memory.recall_from(with_flips(rng, items[i], 20), {});
      sum += overlap(recall.state, items[i]) / kDim;
    }
    return sum / 20;
  };
  CHECK(mean_overlap(kDim * 7 / 100) > 0.98);
  CHECK(mean_overlap(kDim * 30 / 100) < 0.6);
}

TEST_CASE("primitives/hebb: what counts is signs, so every metric recalls the same") {
  Rng rng = make_rng(4);
  const Vectors items = uniform_vectors(rng, 10, 150);
  const Vectors cues = uniform_vectors(rng, 10, 150);
  TestCollection dot = memory_of("hebb", items);
  for (const Metric metric : {Metric::kL2, Metric::kCosine}) {
    TestCollection other = memory_of("hebb", items, metric);
    for (std::size_t i = 0; i < cues.count(); ++i) {
      CHECK(other.recall_from({cues[i]}).state == dot.recall_from({cues[i]}).state);
    }
  }
}

TEST_CASE("primitives/hebb: what a mask shows stays, and what it hides comes back") {
  Rng rng = make_rng(5);
  constexpr std::size_t kDim = 300;
  const Vectors items = random_signs(rng, 10, kDim);
  TestCollection memory = memory_of("hebb", items);
  const std::vector<CoordinateRange> visible{{100, 250}};
  for (std::size_t i = 0; i < items.count(); ++i) {
    std::vector<float> cue(kDim, 1);
    std::copy(items[i].begin() + 100, items[i].begin() + 250, cue.begin() + 100);
    const Recall recall = memory.recall_from({.vector = cue, .visible = &visible});
    CHECK(overlap(recall.state, items[i]) > 0.97 * kDim);
    CHECK(std::equal(cue.begin() + 100, cue.begin() + 250, recall.state.begin() + 100));
  }
}

TEST_CASE("primitives/hebb: the matrix is as large for a thousand items as for one") {
  Rng rng = make_rng(6);
  TestCollection memory = memory_of("hebb", random_signs(rng, 1, 200));
  const std::size_t one = memory.index().memory_bytes();
  memory.add_all(random_signs(rng, 999, 200));
  CHECK(memory.index().memory_bytes() == one);
}

TEST_CASE("primitives/hebb: a survey tells a memory that keeps from one that is too full") {
  Rng rng = make_rng(7);
  for (const auto& [count, least, most] :
       {std::tuple<std::size_t, double, double>{10, 1, 1}, {200, 0, 0.7}}) {
    TestCollection memory = memory_of("hebb", random_signs(rng, count, 200));
    memory.tune();
    const auto facts = memory.index().recaller()->describe();
    const auto found = std::find_if(facts.begin(), facts.end(),
                                    [](const Fact& fact) { return fact.name == "overlap"; });
    REQUIRE(found != facts.end());
    CHECK(std::stod(found->value) >= least - 1e-6);
    CHECK(std::stod(found->value) <= most + 1e-6);
  }
}

}  // namespace
}  // namespace engram::test::hebb_test
