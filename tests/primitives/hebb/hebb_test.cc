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
                         Metric metric = Metric::kDot, std::vector<OptionText> options = {}) {
  TestCollection memory(*find_primitive(primitive).value(), metric, items.dim, std::move(options));
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

TestCollection learned(const Vectors& items, std::vector<OptionText> options) {
  return memory_of("hebb", items, Metric::kDot, std::move(options));
}

/// x of a x = b, a [n, n] symmetric and positive definite, by elimination.
std::vector<double> solved(std::vector<double> a, std::vector<double> b) {
  const std::size_t n = b.size();
  for (std::size_t k = 0; k < n; ++k) {
    for (std::size_t i = 0; i < n; ++i) {
      if (i == k) continue;
      const double factor = a[i * n + k] / a[k * n + k];
      for (std::size_t j = 0; j < n; ++j) a[i * n + j] -= factor * a[k * n + j];
      b[i] -= factor * b[k];
    }
  }
  for (std::size_t k = 0; k < n; ++k) b[k] /= a[k * n + k];
  return b;
}

/// -1/2 q^T J q of Fachechi, Agliari & Barra 2019 with its diagonal, in as many dimensions as there
/// are items: -(1 + t) / (2 d) v^T (I + t C)^-1 v, where v are the overlaps of q and the items.
double dreamed_energy(const Vectors& items, std::span<const float> q, double t) {
  const auto dim = static_cast<double>(items.dim);
  const std::size_t n = items.count();
  std::vector<double> overlaps(n);
  std::vector<double> matrix(n * n);
  for (std::size_t i = 0; i < n; ++i) {
    overlaps[i] = overlap(items[i], q);
    for (std::size_t k = 0; k < n; ++k) {
      matrix[i * n + k] = t * overlap(items[i], items[k]) / dim + (i == k ? 1 : 0);
    }
  }
  const std::vector<double> weights = solved(matrix, overlaps);
  double sum = 0;
  for (std::size_t i = 0; i < n; ++i) sum += overlaps[i] * weights[i];
  return -(1 + t) / (2 * dim) * sum;
}

TEST_CASE("primitives/hebb: a dream is the kernel of its definition, but for the diagonal") {
  Rng rng = make_rng(11);
  const Vectors items = random_signs(rng, 9, 23);
  const Vectors states = random_signs(rng, 12, 23);
  for (const auto& [text, t] :
       {std::pair<const char*, double>{"0.25", 0.25}, {"10", 10}, {"900", 900}}) {
    TestCollection memory = learned(items, {{"RULE", "dream"}, {"SLEEP", text}});
    // A diagonal adds the same to the energy of every state.
    const double trace = memory.energy(states[0]) - dreamed_energy(items, states[0], t);
    for (std::size_t i = 1; i < states.count(); ++i) {
      const double expected = dreamed_energy(items, states[i], t) + trace;
      CHECK(memory.energy(states[i]) == doctest::Approx(expected).epsilon(1e-9));
    }
  }
}

TEST_CASE(
    "primitives/hebb: without sleep a dream recalls as hebb, and a long one as pseudoinverse") {
  Rng rng = make_rng(12);
  const Vectors items = random_signs(rng, 30, 90);
  const Vectors cues = random_signs(rng, 20, 90);
  TestCollection awake = learned(items, {{"RULE", "dream"}, {"SLEEP", "0"}});
  TestCollection hebb = learned(items, {});
  TestCollection asleep = learned(items, {{"RULE", "dream"}, {"SLEEP", "10000"}});
  TestCollection inverse = learned(items, {{"RULE", "pseudoinverse"}});
  for (std::size_t i = 0; i < cues.count(); ++i) {
    CHECK(awake.energy(cues[i]) == doctest::Approx(hebb.energy(cues[i])));
    CHECK(asleep.energy(cues[i]) == doctest::Approx(inverse.energy(cues[i])).epsilon(1e-3));
  }
}

TEST_CASE("primitives/hebb: a pseudoinverse keeps all items that are independent, however alike") {
  Rng rng = make_rng(13);
  constexpr std::size_t kDim = 60;
  const Vectors model = random_signs(rng, 1, kDim);
  Vectors items{kDim, {}};
  for (std::size_t i = 0; i < 24; ++i) {
    const auto item = with_flips(rng, model[0], 6);
    items.values.insert(items.values.end(), item.begin(), item.end());
  }
  TestCollection memory = learned(items, {{"RULE", "pseudoinverse"}});
  TestCollection hebb = learned(items, {});
  std::size_t lost = 0;
  for (std::size_t i = 0; i < items.count(); ++i) {
    CHECK(overlap(memory.recall_from({items[i]}).state, items[i]) == kDim);
    lost += overlap(hebb.recall_from({items[i]}).state, items[i]) < kDim;
  }
  CHECK(lost > 12);
}

/// With as many independent items as dimensions every state is a combination of items.
TEST_CASE("primitives/hebb: a full pseudoinverse leaves what is known, and completes by -1") {
  Rng rng = make_rng(14);
  constexpr std::size_t kDim = 30;
  TestCollection memory = learned(random_signs(rng, 200, kDim), {{"RULE", "pseudoinverse"}});
  const Vectors cues = random_signs(rng, 5, kDim);
  const std::vector<CoordinateRange> visible{{0, 20}};
  for (std::size_t i = 0; i < cues.count(); ++i) {
    CHECK(overlap(memory.recall_from({cues[i]}).state, cues[i]) == kDim);
    const Recall recall = memory.recall_from({.vector = cues[i], .visible = &visible});
    CHECK(std::equal(cues[i].begin(), cues[i].begin() + 20, recall.state.begin()));
    CHECK(std::all_of(recall.state.begin() + 20, recall.state.end(),
                      [](float x) { return x == -1; }));
  }
}

TEST_CASE("primitives/hebb: dreams and unlearning keep what is lost without them") {
  Rng rng = make_rng(15);
  constexpr std::size_t kDim = 200;
  const Vectors items = random_signs(rng, 60, kDim);
  const auto mean_overlap = [&](std::vector<OptionText> options) {
    TestCollection memory = learned(items, std::move(options));
    double sum = 0;
    for (std::size_t i = 0; i < items.count(); ++i) {
      sum += overlap(memory.recall_from({items[i]}).state, items[i]) / kDim;
    }
    return sum / static_cast<double>(items.count());
  };
  const double without = mean_overlap({});
  CHECK(without < 0.6);
  CHECK(mean_overlap({{"RULE", "dream"}}) > 0.99);
  const double unlearned = mean_overlap({{"RULE", "unlearn"}, {"ROUNDS", "400"}});
  CHECK(unlearned > without + 0.2);
  CHECK(unlearned == mean_overlap({{"RULE", "unlearn"}, {"ROUNDS", "400"}, {"SEED", "42"}}));
}

TEST_CASE("primitives/hebb: what was erased leaves no trace in what a rule learned") {
  Rng rng = make_rng(16);
  const Vectors items = random_signs(rng, 12, 40);
  const Vectors others = random_signs(rng, 7, 40);
  const Vectors cues = random_signs(rng, 10, 40);
  for (const std::string rule : {"pseudoinverse", "dream", "unlearn"}) {
    TestCollection plain = learned(items, {{"RULE", rule}});
    TestCollection erased = learned(items, {{"RULE", rule}});
    std::vector<Slot> slots;
    for (std::size_t i = 0; i < others.count(); ++i) slots.push_back(erased.add(others[i]));
    (void)erased.recall_from({cues[0]});
    for (const Slot slot : slots) erased.erase(slot);
    for (std::size_t i = 0; i < cues.count(); ++i) {
      const Recall a = plain.recall_from({cues[i]});
      const Recall b = erased.recall_from({cues[i]});
      CHECK(a.state == b.state);
      CHECK(a.energies == b.energies);
    }
  }
}

TEST_CASE("primitives/hebb: options of another rule, and too many dimensions, are refused") {
  const Primitive& hebb = *find_primitive("hebb").value();
  const auto refusal = [&](std::size_t dim, const std::vector<OptionText>& given) {
    const IndexSpec spec{.dim = dim,
                         .metric = Metric::kDot,
                         .primitive = &hebb,
                         .options = Options::parse(hebb.create_options, given).value()};
    const auto made = make_index(spec);
    return made ? std::string() : made.error().message;
  };
  CHECK(refusal(8, {{"SLEEP", "3"}}) == "option SLEEP is of RULE dream, got RULE hebb");
  CHECK(refusal(8, {{"RULE", "dream"}, {"RATE", "0.5"}}) ==
        "option RATE is of RULE unlearn, got RULE dream");
  CHECK(refusal(1025, {{"RULE", "pseudoinverse"}}) ==
        "primitive hebb takes vectors of at most 1024 dimensions with these options, got 1025");
  CHECK(refusal(1025, {}).empty());
  CHECK(refusal(1024, {{"RULE", "unlearn"}, {"ROUNDS", "5"}}).empty());
}

}  // namespace
}  // namespace engram::test::hebb_test
