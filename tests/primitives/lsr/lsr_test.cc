// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "core/text.h"
#include "tests/support/seed.h"
#include "tests/support/test_collection.h"
#include "tests/support/vectors.h"

namespace engram::test::lsr_test {
namespace {

constexpr std::size_t kDim = 12;

const Primitive& lsr() {
  return *find_primitive("lsr").value();
}

double distance(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += (double{a[i]} - b[i]) * (double{a[i]} - b[i]);
  return std::sqrt(sum);
}

TestCollection memory_of(const Vectors& items, Metric metric = Metric::kL2) {
  TestCollection memory(lsr(), metric, items.dim);
  memory.add_all(items);
  return memory;
}

bool is_item(const Recall& recall, std::span<const float> item) {
  return std::equal(recall.state.begin(), recall.state.end(), item.begin());
}

TEST_CASE("primitives/lsr: a radius whose square float32 has no number for divides items alike") {
  Rng rng = make_rng(11);
  const Vectors items = clustered_vectors(rng, 200, kDim, 20);
  Vectors small = items;
  constexpr float kScale = 0x1p-90F;
  for (float& value : small.values) value *= kScale;
  TestCollection memory = memory_of(items);
  TestCollection small_memory = memory_of(small);
  const std::vector<CoordinateRange> visible{{0, kDim / 2}};
  const auto recall_in = [&](TestCollection& where, std::span<const float> cue, double radius) {
    const std::string text = number_text(radius);
    const std::vector<OptionText> given{{"RADIUS", text}};
    const Options options = Options::parse(lsr().recall_options, given).value();
    return where.recall_from({.vector = cue, .visible = &visible}, {.options = &options});
  };
  for (std::size_t i = 0; i < items.count(); ++i) {
    const Recall expected = recall_in(memory, items[i], 0.3);
    const Recall got = recall_in(small_memory, small[i], 0.3 * double{kScale});
    CHECK(got.kind == expected.kind);
    CHECK(got.support.size() == expected.support.size());
    CHECK(got.effective_count == doctest::Approx(expected.effective_count).epsilon(1e-4));
  }
}

/// Hoover et al. 2025: the energy memorises an item exactly if no other is within the radius.
TEST_CASE("primitives/lsr: the items that are preserved are those without another in the radius") {
  Rng rng = make_rng(1);
  const Vectors items = clustered_vectors(rng, 400, kDim, 40);
  TestCollection memory = memory_of(items);
  std::size_t isolated = 0;
  for (const std::string radius : {"0.2", "0.4", "0.6", "1"}) {
    CAPTURE(radius);
    for (std::size_t i = 0; i < items.count(); ++i) {
      bool is_isolated = true;
      for (std::size_t j = 0; j < items.count(); ++j) {
        if (j != i && distance(items[i], items[j]) < std::stod(radius)) is_isolated = false;
      }
      isolated += is_isolated;
      const Recall recall = memory.recall_from(items[i], {{"RADIUS", radius}});
      CHECK(recall.converged);
      CHECK(is_item(recall, items[i]) == is_isolated);
      CHECK((recall.kind == RecallKind::kPattern) == is_isolated);
    }
  }
  CHECK(isolated > 0);
  CHECK(isolated < 4 * items.count());
}

TEST_CASE("primitives/lsr: between two items near each other there is a memory of both") {
  const std::vector<float> left{-1, 0};
  const std::vector<float> right{1, 0};
  TestCollection memory(lsr(), Metric::kL2, 2);
  memory.add(left);
  memory.add(right);
  memory.add(std::vector<float>{50, 50});
  const Recall recall = memory.recall_from(std::vector<float>{0.3F, 0.1F}, {{"RADIUS", "1.8"}});
  CHECK(recall.kind == RecallKind::kEmergent);
  CHECK(recall.state == std::vector<float>{0, 0});
  CHECK(recall.effective_count == doctest::Approx(2));
  CHECK(recall.support == std::vector<Share>{{0, 0.5}, {1, 0.5}});
  // -1/beta ln(2 (1 - beta/2)) with beta = 2 / 1.8^2
  CHECK(recall.energies.back() == doctest::Approx(-1.62 * std::log(2 * (1 - 1 / 3.24))));
}

TEST_CASE("primitives/lsr: a cue beyond all radii goes where OUTSIDE says") {
  Rng rng = make_rng(2);
  const Vectors items = uniform_vectors(rng, 200, kDim);
  TestCollection memory = memory_of(items);
  std::vector<float> cue(kDim, 9.0F);
  const Slot nearest = memory.expected(cue, 1)[0].slot;

  const Recall abstained = memory.recall_from(cue, {{"RADIUS", "0.1"}, {"OUTSIDE", "abstain"}});
  CHECK(abstained.outside);
  CHECK(!abstained.attractor.has_value());
  CHECK(abstained.state == cue);
  CHECK(std::isinf(abstained.energies.front()));

  const Recall at_nearest = memory.recall_from(cue, {{"RADIUS", "0.1"}});
  CHECK(at_nearest.outside);
  CHECK(at_nearest.attractor->slot == nearest);
  CHECK(is_item(at_nearest, items[nearest]));

  const Recall expanded = memory.recall_from(cue, {{"RADIUS", "0.1"}, {"OUTSIDE", "expand"}});
  CHECK(expanded.outside);
  CHECK(expanded.attractor.has_value());
  const double radius = std::sqrt(2 / expanded.beta);
  CHECK(radius == doctest::Approx(distance(cue, items[nearest])).epsilon(0.001));
}

TEST_CASE("primitives/lsr: a graph finds what a scan does, as far as the radius reaches" *
          doctest::test_suite("quality")) {
  if (!is_registered("hnsw")) return;  // there is no graph then
  Rng rng = make_rng(3);
  const Vectors items = clustered_vectors(rng, 2000, kDim, 50);
  for (const Metric metric : kMetrics) {
    CAPTURE(metric_name(metric));
    TestCollection memory = memory_of(items, metric);
    memory.tune();
    std::size_t same = 0;
    for (std::size_t i = 0; i < 50; ++i) {
      const Recall scan = memory.recall_from(items[i * 7], {{"CAND", "scan"}});
      const Recall graph = memory.recall_from(items[i * 7], {{"CAND", "graph"}, {"L", "32"}});
      same += scan.state == graph.state;
    }
    CHECK(same >= 48);
  }
}

TEST_CASE("primitives/lsr: what is hidden is the mean of what is near by the rest") {
  const std::vector<CoordinateRange> visible{{0, 1}};
  TestCollection memory(lsr(), Metric::kL2, 2);
  memory.add(std::vector<float>{0, 10});
  memory.add(std::vector<float>{0.5F, 20});
  memory.add(std::vector<float>{9, 70});
  const Options options =
      Options::parse(lsr().recall_options, std::vector<OptionText>{{"RADIUS", "1"}}).value();
  const std::vector<float> cue{0.25F, -1};
  const Recall recall =
      memory.recall_from({.vector = cue, .visible = &visible}, {.options = &options});
  CHECK(recall.state == std::vector<float>{0.25F, 15});
}

TEST_CASE("primitives/lsr: what is hidden has no say, and a mask is refused where it would") {
  Rng rng = make_rng(5);
  const Vectors items = uniform_vectors(rng, 50, kDim);
  const std::vector<CoordinateRange> visible{{0, kDim / 2}};
  const std::vector<OptionText> given{{"RADIUS", "0.5"}};
  const Options options = Options::parse(lsr().recall_options, given).value();
  for (const Metric metric : kMetrics) {
    CAPTURE(metric_name(metric));
    TestCollection memory = memory_of(items, metric);
    for (const float hidden : {0.0F, 9.0F}) {
      std::vector<float> cue(items[0].begin(), items[0].end());
      std::fill(cue.begin() + kDim / 2, cue.end(), hidden);
      Recall recall;
      const Status status = memory.index().recaller()->recall(
          {.vector = cue, .visible = &visible}, {.options = &options}, memory.scratch(), recall);
      CHECK(status.has_value() == (metric != Metric::kCosine));
      if (!status.has_value()) continue;
      REQUIRE(recall.onestep.has_value());
      CHECK(recall.onestep->slot == 0);
      CHECK(!recall.outside);
    }
  }
}

TEST_CASE("primitives/lsr: a radius said twice, or of no use, is refused when it is said") {
  TestCollection memory(lsr(), Metric::kL2, 2);
  memory.add(std::vector<float>{1, 2});
  const std::vector<float> cue{1, 1};
  using Given = std::vector<OptionText>;
  for (const Given& given :
       {Given{{"RADIUS", "1"}, {"BETA", "2"}}, {{"RADIUS", "1e-200"}}, {{"BETA", "1e-300"}}}) {
    CAPTURE(given.front().second);
    const auto index = make_index({.dim = 2,
                                   .metric = Metric::kL2,
                                   .primitive = &lsr(),
                                   .options = Options::parse(lsr().create_options, given).value()});
    REQUIRE(!index.has_value());
    CHECK(index.error().code == ErrorCode::kInvalidArgument);
    const Options options = Options::parse(lsr().recall_options, given).value();
    Recall recall;
    CHECK(!memory.index().recaller()->recall({.vector = cue}, {.options = &options},
                                             memory.scratch(), recall));
  }
}

TEST_CASE("primitives/lsr: a tuned radius preserves nine items of ten") {
  Rng rng = make_rng(4);
  const Vectors items = uniform_vectors(rng, 1000, kDim);
  TestCollection memory = memory_of(items);
  memory.tune();
  std::size_t preserved = 0;
  for (std::size_t i = 0; i < items.count(); ++i) {
    preserved += is_item(memory.recall_from({.vector = items[i]}), items[i]);
  }
  CHECK(preserved >= 890);
  CHECK(preserved <= 910);
}

}  // namespace
}  // namespace engram::test::lsr_test
