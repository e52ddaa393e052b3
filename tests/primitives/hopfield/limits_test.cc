// SPDX-License-Identifier: Apache-2.0
// Numbers at the ends of what doubles hold, and rows that are none.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "tests/support/seed.h"
#include "tests/support/test_collection.h"
#include "tests/support/vectors.h"

namespace engram::test::limits_test {
namespace {

using Given = std::vector<OptionText>;

constexpr std::size_t kItemDim = 16;

const Primitive& modern_hopfield() {
  return *find_primitive("hopfield").value();
}

TEST_CASE("primitives/hopfield: a tuned memory of tiny vectors recalls as one of vectors does") {
  Rng rng = make_rng(18);
  const Vectors items = uniform_vectors(rng, 60, kItemDim);
  const Vectors cues = uniform_vectors(rng, 10, kItemDim);
  const auto scaled = [](Vectors vectors) {
    for (float& value : vectors.values) value *= 0x1p-80F;
    return vectors;
  };
  TestCollection memory(modern_hopfield(), Metric::kL2, kItemDim);
  TestCollection small(modern_hopfield(), Metric::kL2, kItemDim);
  memory.add_all(items);
  small.add_all(scaled(items));
  memory.tune();
  small.tune();
  const std::vector<CoordinateRange> visible{{0, kItemDim / 2}};
  for (std::size_t i = 0; i < cues.count(); ++i) {
    const Vectors tiny = scaled({kItemDim, {cues[i].begin(), cues[i].end()}});
    for (const std::vector<CoordinateRange>* const mask :
         {&visible, static_cast<decltype(&visible)>(nullptr)}) {
      const Recall expected = memory.recall_from({.vector = cues[i], .visible = mask});
      const Recall got = small.recall_from({.vector = tiny[0], .visible = mask});
      CHECK(got.onestep->slot == expected.onestep->slot);
      CHECK(got.onestep->weight == doctest::Approx(expected.onestep->weight).epsilon(1e-4));
      CHECK(got.beta == doctest::Approx(std::ldexp(expected.beta, 160)).epsilon(1e-5));
    }
  }
}

/// Vectors that are all as far from the cue: the components of one in other orders, whose sums are
/// rounded in other ways.
Vectors rearranged(Rng& rng, std::size_t count) {
  Vectors vectors = uniform_vectors(rng, 1, kItemDim);
  for (std::size_t i = 1; i < count; ++i) {
    std::vector<float> next(vectors.values.begin(), vectors.values.begin() + kItemDim);
    std::shuffle(next.begin(), next.end(), rng);
    vectors.values.insert(vectors.values.end(), next.begin(), next.end());
  }
  return vectors;
}

TEST_CASE("primitives/hopfield: no beta makes a winner of what rounding alone tells apart") {
  Rng rng = make_rng(21);
  constexpr std::size_t kCount = 55;
  const Given given{{"BETA", "1e9"}, {"STEPS", "0"}};
  for (const Metric metric : kMetrics) {
    CAPTURE(metric_name(metric));
    TestCollection memory(modern_hopfield(), metric, kItemDim);
    memory.add_all(rearranged(rng, kCount));
    const std::vector<float> cue(kItemDim, 0.3F);
    const Recall recall = memory.recall_from(cue, given);
    CHECK(recall.onestep->slot == 0);
    CHECK(recall.onestep->weight == doctest::Approx(1.0 / kCount));
    CHECK(recall.support.size() == RecallParams{}.top);
    // A hundred times the error away, it is another matter.
    std::vector<float> nearer(memory.store().dim());
    memory.store().read(7, nearer);
    for (float& value : nearer)
      value += 1e-3F * (0.3F - value) + (metric == Metric::kDot ? 1e-3F : 0);
    const Slot slot = memory.add(nearer);
    CHECK(memory.recall_from(cue, given).onestep->slot == slot);
    CHECK(memory.recall_from(cue, given).onestep->weight > 0.999);
  }
}

TEST_CASE("primitives/hopfield: one visible coordinate tells no two of a sign apart under cosine") {
  Rng rng = make_rng(22);
  constexpr std::size_t kCount = 110;
  TestCollection memory(modern_hopfield(), Metric::kCosine, kItemDim);
  Vectors items = uniform_vectors(rng, kCount, kItemDim);
  for (std::size_t i = 0; i < kCount; ++i) {
    float& first = items.values[i * kItemDim];
    first = i % 2 == 0 ? std::abs(first) + 1e-3F : -std::abs(first) - 1e-3F;
  }
  memory.add_all(items);
  const std::vector<CoordinateRange> visible{{0, 1}};
  const std::vector<float> cue(kItemDim, 0.7F);
  const Given given{{"BETA", "1e9"}};
  const Options options = Options::parse(modern_hopfield().recall_options, given).value();
  const Recall recall =
      memory.recall_from({.vector = cue, .visible = &visible}, {.options = &options});
  CHECK(recall.onestep->slot == 0);
  CHECK(recall.onestep->weight == doctest::Approx(2.0 / kCount));
  CHECK(recall.entropy == doctest::Approx(std::log(kCount / 2.0)));
  CHECK(recall.effective_count == doctest::Approx(kCount / 2.0));
}

TEST_CASE("primitives/hopfield: a beta that doubles cannot compute with is refused") {
  TestCollection memory(modern_hopfield(), Metric::kL2, 2);
  memory.add(std::vector<float>{1, 2});
  memory.add(std::vector<float>{2, 1});
  const std::vector<float> cue{1, 1};
  const auto status_with = [&](OptionText option) {
    const Given given{option};
    const Options options = Options::parse(modern_hopfield().recall_options, given).value();
    Recall recall;
    return memory.index().recaller()->recall({.vector = cue}, {.options = &options},
                                             memory.scratch(), recall);
  };
  for (const OptionText& option :
       {OptionText{"NOISE", "1e-200"}, {"NOISE", "1e-9"}, {"BETA", "1e-300"}}) {
    CAPTURE(option.second);
    const Status status = status_with(option);
    REQUIRE(!status.has_value());
    CHECK(status.error().message.find("gives a beta of") != std::string::npos);
  }
  for (const OptionText& option :
       {OptionText{"NOISE", "1e15"}, {"NOISE", "1e-7"}, {"BETA", "1e-40"}, {"BETA", "1e15"}}) {
    CAPTURE(option.second);
    CHECK(status_with(option).has_value());
  }
}

TEST_CASE(
    "primitives/hopfield: a damaged row has no weight, whether or not coordinates are hidden") {
  Rng rng = make_rng(15);
  const Vectors items = uniform_vectors(rng, 20, kItemDim);
  const std::vector<CoordinateRange> half{{0, kItemDim / 2}};
  const std::vector<CoordinateRange>* const all = nullptr;
  const Given given{{"BETA", "1"}};
  const Options options = Options::parse(modern_hopfield().recall_options, given).value();
  for (const Metric metric : kMetrics) {
    CAPTURE(metric_name(metric));
    TestCollection memory(modern_hopfield(), metric, kItemDim);
    memory.add_all(items);
    constexpr Slot kDamaged = 7;
    auto* const row =
        reinterpret_cast<float*>(const_cast<std::byte*>(memory.store().row(kDamaged)));
    std::fill_n(row, kItemDim, std::nanf(""));
    for (const auto* const visible : {all, &half}) {
      const Recall recall = memory.recall_from({.vector = items[0], .visible = visible},
                                               {.options = &options, .top = items.count()});
      CHECK(recall.support.size() == items.count() - 1);
      CHECK(std::none_of(recall.support.begin(), recall.support.end(),
                         [](const Share& share) { return share.slot == kDamaged; }));
      CHECK(std::all_of(recall.state.begin(), recall.state.end(),
                        [](float value) { return std::isfinite(value); }));
    }
  }
}

}  // namespace
}  // namespace engram::test::limits_test
