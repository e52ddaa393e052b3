// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "primitives/sdm/hard_locations.h"
#include "tests/support/seed.h"
#include "tests/support/signs.h"
#include "tests/support/test_collection.h"

namespace engram::test::sdm_test {
namespace {

const Primitive& sdm_primitive() {
  return *find_primitive("sdm").value();
}

bool is_item(const Recall& recall, std::span<const float> item) {
  return std::equal(recall.state.begin(), recall.state.end(), item.begin());
}

TestCollection memory_of(const Vectors& items, std::vector<OptionText> options) {
  TestCollection memory(sdm_primitive(), Metric::kL2, items.dim, std::move(options));
  memory.add_all(items);
  return memory;
}

std::string fact(const std::vector<Fact>& facts, std::string_view name) {
  for (const Fact& fact : facts) {
    if (fact.name == name) return fact.value;
  }
  return "no " + std::string(name);
}

TEST_CASE("primitives/sdm: at a low load patterns come back from cues within the distance") {
  Rng rng = make_rng(1);
  const Vectors items = random_signs(rng, 20, 256);
  TestCollection memory = memory_of(items, {{"LOCATIONS", "4000"}});
  for (std::size_t i = 0; i < items.count(); ++i) {
    const Recall recall = memory.recall_from({.vector = with_flips(rng, items[i], 20)});
    CHECK(is_item(recall, items[i]));
    CHECK(recall.converged);
    CHECK(!recall.outside);
    CHECK(recall.attractor->slot == i);
    CHECK(recall.onestep->slot == i);
    CHECK(recall.distance == 0);
    CHECK(recall.energies.empty());
  }
}

TEST_CASE("primitives/sdm: beyond its capacity a memory loses even what it is asked by") {
  Rng rng = make_rng(2);
  const Vectors items = random_signs(rng, 2000, 256);
  TestCollection memory = memory_of(items, {{"LOCATIONS", "200"}});
  std::size_t kept = 0;
  for (std::size_t i = 0; i < 100; ++i) {
    kept += is_item(memory.recall_from({.vector = items[i]}), items[i]);
  }
  CHECK(kept <= 5);
}

TEST_CASE("primitives/sdm: visible signs stay, hidden ones are filled in") {
  Rng rng = make_rng(3);
  constexpr std::size_t kDim = 128;
  const Vectors items = random_signs(rng, 10, kDim);
  TestCollection memory = memory_of(items, {{"LOCATIONS", "5000"}});
  const std::vector<CoordinateRange> visible{{0, 40}, {64, 120}};
  for (std::size_t i = 0; i < items.count(); ++i) {
    std::vector<float> cue(items[i].begin(), items[i].end());
    for (std::size_t k = 40; k < 64; ++k) cue[k] = 7;
    for (std::size_t k = 120; k < kDim; ++k) cue[k] = -cue[k];
    CHECK(is_item(memory.recall_from({.vector = cue, .visible = &visible}), items[i]));
    cue[0] = -cue[0];  // wrong, but visible
    const Recall recall = memory.recall_from({.vector = cue, .visible = &visible});
    CHECK(recall.state[0] == cue[0]);
    CHECK(std::equal(recall.state.begin() + 1, recall.state.end(), items[i].begin() + 1));
  }
}

TEST_CASE("primitives/sdm: a cue that activates nothing is outside, and stays as it is") {
  Rng rng = make_rng(4);
  const Vectors items = random_signs(rng, 3, 64);
  TestCollection memory = memory_of(items, {{"RADIUS", "1"}});
  const Recall recall = memory.recall_from({.vector = items[1]});
  CHECK(recall.outside);
  CHECK(recall.converged);
  CHECK(is_item(recall, items[1]));
  const std::vector<CoordinateRange> visible{{0, 32}};
  const Recall masked = memory.recall_from({.vector = items[2], .visible = &visible});
  CHECK(masked.outside);
  CHECK(masked.attractor->slot == 2);
  CHECK(std::equal(items[2].begin(), items[2].begin() + 32, masked.state.begin()));
  CHECK(std::all_of(masked.state.begin() + 32, masked.state.end(),
                    [](float sign) { return sign == -1; }));
}

/// Where the radius is the dimension, every state activates every location.
TEST_CASE("primitives/sdm: a reading is the signs of the sums, and a sum of zero keeps the sign") {
  const std::vector<float> a{1, 1, -1};
  const std::vector<float> b{1, -1, -1};
  TestCollection memory(sdm_primitive(), Metric::kL2, 3, {{"LOCATIONS", "1"}, {"RADIUS", "3"}});
  memory.add(a);
  memory.add(b);
  // The second counter is zero: that sign is kept.
  CHECK(memory.recall_from({.vector = std::vector<float>{-1, 1, 1}}).state == a);
  CHECK(memory.recall_from({.vector = std::vector<float>{-1, -1, 1}}).state == b);
  memory.add(a);
  CHECK(memory.recall_from({.vector = std::vector<float>{-1, -1, 1}}).state == a);
}

TEST_CASE("primitives/sdm: at most STEPS readings are made") {
  Rng rng = make_rng(5);
  const Vectors items = random_signs(rng, 300, 128);
  TestCollection memory = memory_of(items, {{"LOCATIONS", "500"}, {"STEPS", "2"}});
  const std::vector<float> cue = with_flips(rng, items[0], 40);
  CHECK(memory.recall_from({.vector = cue}).steps <= 2);
  CHECK(memory.recall_from(cue, {{"STEPS", "1"}}).steps == 1);
  const Recall none = memory.recall_from(cue, {{"STEPS", "0"}});
  CHECK(none.steps == 0);
  CHECK(none.state == cue);
}

TEST_CASE("primitives/sdm: there is no energy, which is said in a sentence") {
  TestCollection memory(sdm_primitive(), Metric::kL2, 2);
  const std::vector<float> item{1, -1};
  memory.add(item);
  const auto energy = memory.index().recaller()->energy(item, {}, memory.scratch());
  REQUIRE(!energy.has_value());
  CHECK(energy.error().code == ErrorCode::kUnsupported);
  CHECK(energy.error().message.find("has no energy") != std::string::npos);
}

TEST_CASE("primitives/sdm: more counters than there may be, or too wide a radius, are refused") {
  const auto error_of = [&](std::string_view name, std::string_view value) {
    const std::vector<OptionText> given{{name, value}};
    const auto index =
        make_index({.dim = 300,
                    .metric = Metric::kL2,
                    .primitive = &sdm_primitive(),
                    .options = Options::parse(sdm_primitive().create_options, given).value()});
    REQUIRE(!index.has_value());
    CHECK(index.error().code == ErrorCode::kInvalidArgument);
    return index.error().message;
  };
  CHECK(error_of("LOCATIONS", "1000000").find("at most 223696 locations") != std::string::npos);
  CHECK(error_of("RADIUS", "301").find("the 300 dimensions") != std::string::npos);
}

TEST_CASE("primitives/sdm: what it is made of, how full it is and what it activates are told") {
  Rng rng = make_rng(6);
  const Vectors items = random_signs(rng, 100, 1000);
  TestCollection memory = memory_of(items, {{"LOCATIONS", "500"}, {"RADIUS", "490"}});
  const auto facts = memory.index().describe();
  CHECK(fact(facts, "activation-radius") == "490");
  CHECK(fact(facts, "counters") == "500000");
  const double share = std::stod(fact(facts, "activation"));
  CHECK(fact(memory.index().recaller()->describe(), "load") == "0.2");
  const auto survey = memory.index().recaller()->survey({.sample = 100}).value();
  while (survey->step(memory.scratch())) {
  }
  const double activated = std::stod(fact(survey->diagnosis(), "activated"));
  CHECK(std::abs(activated - 500 * share) < 6 * std::sqrt(500 * share / 100));
  memory.tune();
  CHECK(fact(memory.index().recaller()->describe(), "stale") == "0");
}

/// The expected ones were computed apart, from the definition of the hash.
TEST_CASE("primitives/sdm: addresses are the same on any machine, and others with another seed") {
  const std::vector<float> state(70, -1.0F);
  const recall::SignState of_all({.vector = state}, 70);
  const auto active = [&](std::uint64_t seed) {
    const sdm::HardLocations locations(70, 1000, 24, seed);
    std::vector<std::size_t> found;
    for (std::size_t i = 0; i < 1000; ++i) {
      if (locations.is_active(i, of_all)) found.push_back(i);
    }
    return found;
  };
  CHECK(active(42) == std::vector<std::size_t>{326, 395, 606, 770, 883, 947});
  CHECK(active(43) != active(42));
}

}  // namespace
}  // namespace engram::test::sdm_test
