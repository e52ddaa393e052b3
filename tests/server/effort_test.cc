// SPDX-License-Identifier: Apache-2.0
// Effort by recall: the curve, and searches that choose by it.
#include "server/engine/effort.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "core/text.h"
#include "server/engine/curve_survey.h"
#include "server/engine/recall_curve.h"
#include "server/requests/index_info.h"
#include "server/requests/survey.h"
#include "tests/server/request_fixture.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/vectors.h"

namespace engram::effort_test {
namespace {

using doctest::Approx;
using test::RequestFixture;

constexpr std::size_t kDim = 24;

/// recall@10 halves what it misses whenever ef doubles.
RecallCurve halving_curve() {
  RecallCurve curve(5000, 200);
  for (std::size_t ef = 8; ef <= 512; ef *= 2) {
    curve.add(1, ef, 1 - 1.6 / static_cast<double>(ef));
    if (ef >= 32) curve.add(2, ef, 1 - 16 / static_cast<double>(ef));
  }
  return curve;
}

TEST_CASE(
    "engine/effort: the least ef that was enough is chosen, between two by the straight line") {
  const RecallCurve curve = halving_curve();
  CHECK(*curve.ef_for(10, 0.9) == Approx(16));
  CHECK(*curve.ef_for(10, 0.95) == Approx(32));
  CHECK(*curve.ef_for(10, 1 - 1.6 / 24) == Approx(24));
  CHECK(*curve.ef_for(10, 1 - 1.6 / 9.5) == Approx(9.5));
  CHECK(*curve.ef_for(10, 0.1) == Approx(8));
  CHECK(*curve.ef_for(100, 0.9) == Approx(160));
}

TEST_CASE("engine/effort: what no ef reached has no answer") {
  const RecallCurve curve = halving_curve();
  CHECK_FALSE(curve.ef_for(10, 0.999).has_value());
  CHECK_FALSE(curve.ef_for(100, 0.99).has_value());
  CHECK_FALSE(RecallCurve(10, 10).ef_for(10, 0.5).has_value());
}

TEST_CASE("engine/effort: another k goes by those beside it") {
  const RecallCurve curve = halving_curve();
  const double between = *curve.ef_for(30, 0.9);
  CHECK(between > 16);
  CHECK(between < 160);
  CHECK(*curve.ef_for(1000, 0.9) == Approx(1600));
  CHECK(*curve.ef_for(5, 0.9) == Approx(16));  // there is nothing of k = 1
}

TEST_CASE("engine/effort: a curve is the same again when read from its numbers") {
  const Tuning numbers = halving_curve().numbers();
  const auto again = RecallCurve::from(numbers);
  REQUIRE(again.has_value());
  CHECK(again->numbers() == numbers);
  CHECK(again->items() == 5000);
  CHECK(again->sample() == 200);
  for (const auto& [name, value] : numbers) CHECK(RecallCurve::is_number(name));
  CHECK_FALSE(RecallCurve::is_number("beta"));
}

TEST_CASE("engine/effort: numbers that are no curve's are passed over") {
  CHECK_FALSE(RecallCurve::from({}).has_value());
  CHECK_FALSE(RecallCurve::from({{"curve-items", -1}, {"curve-sample", 3}}).has_value());
  const auto curve = RecallCurve::from({{"beta", 3},
                                        {"curve-items", 2000},
                                        {"curve-sample", 64},
                                        {"recall-at-10-ef-20", 0.5},
                                        {"recall-at-10-ef-40", 7},
                                        {"recall-at-10-ef-10", 0.9},
                                        {"recall-at-10-ef-0", 0.9},
                                        {"recall-at-10-ef-x", 0.9},
                                        {"recall-at-7-ef-80", 0.9},
                                        {"recall-at-10", 0.9},
                                        {"recall-at-10-ef-80", 0.95}});
  REQUIRE(curve.has_value());
  CHECK(curve->numbers().size() == 4);
  CHECK(*curve->ef_for(10, 0.95) == Approx(80));
}

class Fixture : public RequestFixture {
 public:
  explicit Fixture(StoreOptions options = {.workers = 2}) : RequestFixture(std::move(options)) {}

  void fill(std::string_view name, std::size_t count, std::size_t first = 0) {
    test::Rng rng(7 + first);
    const test::Vectors vectors = test::clustered_vectors(rng, count, kDim);
    std::vector<std::pair<std::string, std::vector<float>>> items;
    for (std::size_t i = 0; i < count; ++i) {
      items.emplace_back("key:" + std::to_string(first + i),
                         std::vector<float>(vectors[i].begin(), vectors[i].end()));
    }
    REQUIRE(put(name, items) == count);
  }

  Result<std::vector<test::Found>> search_with_recall(std::string_view name, double recall) {
    SearchRequest request = search_for(name, {std::vector<float>(kDim, 0.5F)}, 10);
    request.wanted_recall = recall;
    return search(std::move(request));
  }

  const std::optional<RecallCurve>& curve(std::string_view name) {
    return index(name).collection->recall_curve();
  }
};

TEST_CASE("requests/effort: the first search that asks for a recall has the curve measured") {
  Fixture fixture;
  fixture.create({.name = "notes", .dim = kDim, .metric = "l2", .primitive = "hnsw"});
  fixture.fill("notes", kFewestForCurve);
  CHECK_FALSE(fixture.curve("notes").has_value());
  CHECK(fixture.search_with_recall("notes", 0.9)->front().size() == 10);
  REQUIRE(fixture.curve("notes").has_value());
  CHECK(fixture.curve("notes")->items() == kFewestForCurve);
  CHECK(fixture.search_with_recall("notes", 1)->front().size() == 10);

  SUBCASE("and again in the background once there are twice as many items") {
    fixture.fill("notes", kFewestForCurve, kFewestForCurve);
    CHECK(fixture.search_with_recall("notes", 0.9)->front().size() == 10);
    fixture.run_until([&] { return fixture.curve("notes")->items() == 2 * kFewestForCurve; });
  }
}

TEST_CASE("requests/effort: an exact index and one of few items measure nothing") {
  Fixture fixture;
  for (const char* const primitive : {"flat", "hnsw"}) {
    fixture.create({.name = primitive, .dim = kDim, .metric = "l2", .primitive = primitive});
    fixture.fill(primitive, kFewestForCurve - 1);
    CHECK(fixture.search_with_recall(primitive, 0.9)->front().size() == 10);
    CHECK_FALSE(fixture.curve(primitive).has_value());
  }
  CHECK(*fixture.search_with_recall("flat", 0.9) == *fixture.search_with_recall("hnsw", 0.9));
}

TEST_CASE("requests/effort: a recall that there is not, or one beside EF, is refused") {
  Fixture fixture;
  fixture.create_pair("flat");
  for (const double bad : {0.0, -1.0, 1.5, std::nan("")}) {
    SearchRequest request = fixture.search_for("flat", {{0, 0}}, 1);
    request.wanted_recall = bad;
    CHECK(fixture.search(std::move(request)).error().message.starts_with("RECALL must be"));
  }
  SearchRequest both = fixture.search_for("flat", {{0, 0}}, 1);
  both.wanted_recall = 0.9;
  both.ef = 10;
  CHECK(fixture.search(std::move(both)).error().message ==
        "RECALL chooses what EF would say: give one of them");
}

TEST_CASE("requests/effort: VTUNE measures the curve, and a restart has it and what was tuned") {
  const test::TemporaryDirectory directory;
  const StoreOptions options = {.directory = directory.path(), .workers = 2};
  Tuning tuned;
  Tuning measured;
  {
    Fixture fixture(options);
    fixture.create({.name = "notes", .dim = kDim, .metric = "l2", .primitive = "hnsw"});
    fixture.fill("notes", kFewestForCurve);
    tuned = *fixture.ask<Tuning>(TuneRequest{{.index = fixture.index("notes")}});
    REQUIRE(fixture.curve("notes").has_value());
    measured = fixture.curve("notes")->numbers();
    fixture.fill("notes", kFewestForCurve, kFewestForCurve);
    fixture.store->persistence()->seal();
    CHECK(fixture.search_with_recall("notes", 0.9).has_value());
    fixture.run_until([&] { return fixture.curve("notes")->items() == 2 * kFewestForCurve; });
    CHECK(fixture.curve("notes")->numbers() != measured);
    measured = fixture.curve("notes")->numbers();
    REQUIRE(fixture.store->close().has_value());
  }
  Fixture fixture(options);
  REQUIRE(fixture.curve("notes").has_value());
  CHECK(fixture.curve("notes")->numbers() == measured);
  const auto facts = *fixture.ask<std::vector<Fact>>(InfoRequest{fixture.index("notes")});
  REQUIRE(tuned.front().first == "beta");
  CHECK(std::any_of(facts.begin(), facts.end(), [&](const Fact& fact) {
    return fact.name == "beta" && fact.value == number_text(tuned.front().second);
  }));
}

}  // namespace
}  // namespace engram::effort_test
