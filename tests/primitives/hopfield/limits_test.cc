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
