// SPDX-License-Identifier: Apache-2.0
// Recall that is measured while searches are answered.
#include "server/engine/measured_recall.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "server/requests/index_info.h"
#include "tests/server/request_fixture.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/vectors.h"

namespace engram::measured_recall_test {
namespace {

using test::RequestFixture;

constexpr std::size_t kDim = 24;
constexpr std::size_t kItems = 4000;

TEST_CASE("engine/measured_recall: an interval is wide for few searches, and never empty") {
  const RecallEstimate one = estimate_recall(10, 1, 1, 1);
  CHECK(one.recall == 1);
  CHECK(one.low < 0.5);
  CHECK(one.high == 1);
  const RecallEstimate perfect = estimate_recall(10, 1000, 1000, 1000);
  CHECK(perfect.low > 0.99);
  CHECK(perfect.low < 1);
  for (std::uint64_t count = 1; count < 200; ++count) {
    const auto searches = static_cast<double>(count);
    CHECK(estimate_recall(10, count, searches, searches).high == 1);
    CHECK(estimate_recall(10, count, 0, 0).low == 0);
  }
  const RecallEstimate none = estimate_recall(10, 100, 0, 0);
  CHECK(none.recall == 0);
  CHECK(none.low == 0);
  CHECK(none.high < 0.05);
}

TEST_CASE(
    "engine/measured_recall: searches that are found or missed as a whole count as one each") {
  const RecallEstimate whole =
      estimate_recall(10, 400, 200, 200);                          // half of them all, half nothing
  const RecallEstimate even = estimate_recall(10, 400, 200, 100);  // each finds half
  CHECK(whole.high - whole.low == doctest::Approx(0.0975).epsilon(0.02));
  CHECK(even.high - even.low == doctest::Approx(0.0975 / std::sqrt(10)).epsilon(0.02));
}

TEST_CASE("engine/measured_recall: counts forget what is old, and take no more than some k") {
  RecallCounts counts;
  for (std::uint64_t i = 0; i < RecallCounts::kWindow; ++i) CHECK(counts.add(10, 0));
  CHECK(counts.estimates().front().searches == RecallCounts::kWindow);
  for (std::uint64_t i = 0; i < 2 * RecallCounts::kWindow; ++i) CHECK(counts.add(10, 10));
  CHECK(counts.estimates().front().recall == 1);
  CHECK(counts.estimates().front().searches == 2 * RecallCounts::kWindow);
  for (std::size_t k = 1; k < RecallCounts::kMostKinds; ++k) CHECK(counts.add(k, k));
  CHECK_FALSE(counts.add(99, 99));
  CHECK(counts.estimates().size() == RecallCounts::kMostKinds);
  CHECK(counts.estimates().front().k == 1);
}

class Fixture : public RequestFixture {
 public:
  explicit Fixture(StoreOptions options = {.workers = 1}) : RequestFixture(std::move(options)) {}

  void make(double share, std::string_view primitive = "hnsw", Decay decay = {}) {
    create({.name = "notes",
            .dim = kDim,
            .metric = "l2",
            .primitive = primitive,
            .decay = decay,
            .measured_share = share});
    test::Rng rng(7);
    const test::Vectors vectors = test::clustered_vectors(rng, kItems, kDim);
    std::vector<std::pair<std::string, std::vector<float>>> items;
    for (std::size_t i = 0; i < kItems; ++i) {
      items.emplace_back("key:" + std::to_string(i),
                         std::vector<float>(vectors[i].begin(), vectors[i].end()));
    }
    REQUIRE(put("notes", items) == kItems);
  }

  /// Searches for `count` queries of one distribution, with few candidates, one after the other.
  void ask(std::size_t count, std::uint64_t seed) {
    test::Rng rng(7);
    static_cast<void>(test::clustered_vectors(rng, kItems, kDim));
    test::Rng mine(seed);
    for (std::size_t i = 0; i < count; ++i) {
      const test::Vectors query = test::uniform_vectors(mine, 1, kDim);
      SearchRequest request = search_for("notes", {{query.values.begin(), query.values.end()}}, 10);
      request.ef = 10;
      REQUIRE(search(std::move(request)).has_value());
      settle();
    }
  }

  /// Lets what was chosen be measured.
  void settle() {
    const MeasuredRecall& measured = *index("notes").collection->measured_recall();
    run_until([&] { return !measured.is_busy(); });
  }

  std::vector<RecallEstimate> estimates() {
    return index("notes").collection->measured_recall()->estimates();
  }
};

TEST_CASE("engine/measured_recall: all searches are measured at a share of 1, none dropped") {
  for (const char* const primitive : {"flat", "hnsw"}) {
    Fixture fixture;
    fixture.make(1, primitive);
    fixture.ask(50, 1);
    REQUIRE(fixture.estimates().size() == 1);
    const RecallEstimate estimate = fixture.estimates().front();
    CHECK(estimate.k == 10);
    CHECK(estimate.searches == 50);
    if (std::string_view(primitive) == "flat") CHECK(estimate.recall == 1);
    CHECK(fixture.index("notes").collection->measured_recall()->dropped() == 0);
  }
}

TEST_CASE("engine/measured_recall: the choice is the same each time, and of about that share") {
  Fixture fixture;
  fixture.make(0.2, "flat");
  fixture.ask(200, 1);
  const std::uint64_t chosen = fixture.estimates().front().searches;
  CHECK(chosen > 20);
  CHECK(chosen < 60);
  Fixture again;
  again.make(0.2, "flat");
  again.ask(200, 99);
  CHECK(again.estimates().front().searches == chosen);
}

TEST_CASE("engine/measured_recall: strengths are those of the search") {
  Fixture fixture;
  fixture.make(1, "flat", *decay_from_text("static"));
  fixture.ask(20, 1);
  CHECK(fixture.estimates().front().recall == 1);
}

TEST_CASE("engine/measured_recall: the interval contains the true recall in 19 of 20 runs" *
          doctest::test_suite("long")) {
  Fixture truth;
  truth.make(1);
  truth.ask(4000, 1);
  const double recall = truth.estimates().front().recall;
  CHECK(recall < 0.99);
  int contained = 0;
  for (std::uint64_t run = 0; run < 20; ++run) {
    Fixture fixture;
    fixture.make(0.5);
    fixture.ask(200, 1000 + run);
    const RecallEstimate estimate = fixture.estimates().front();
    CHECK(estimate.high - estimate.low < 0.2);  // of some hundred searches
    contained += estimate.low <= recall && recall <= estimate.high ? 1 : 0;
  }
  CHECK(contained >= 19);
}

TEST_CASE("requests/measure: VINFO tells it, and a restart keeps the share") {
  const test::TemporaryDirectory directory;
  const StoreOptions options = {.directory = directory.path(), .workers = 1};
  const auto fact = [](Fixture& fixture, std::string_view name) {
    const auto facts =
        *fixture.RequestFixture::ask<std::vector<Fact>>(InfoRequest{fixture.index("notes")});
    const auto found = std::find_if(facts.begin(), facts.end(),
                                    [name](const Fact& each) { return each.name == name; });
    return found == facts.end() ? std::string() : found->value;
  };
  {
    Fixture fixture(options);
    fixture.make(0.25, "flat");
    fixture.ask(40, 1);
    CHECK(fact(fixture, "measured-share") == "0.25");
    CHECK(fact(fixture, "measured-recall-at-10") == "1");
    CHECK(fact(fixture, "measured-low-at-10") < fact(fixture, "measured-high-at-10"));
    CHECK_FALSE(fact(fixture, "measured-searches-at-10").empty());
    fixture.store->persistence()->seal();
    REQUIRE(fixture.store->close().has_value());
  }
  Fixture fixture(options);
  CHECK(fact(fixture, "measured-share") == "0.25");
  CHECK(fact(fixture, "measured-recall-at-10").empty());
}

}  // namespace
}  // namespace engram::measured_recall_test
