// SPDX-License-Identifier: Apache-2.0
// The typed requests, as any door uses them.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/registry.h"
#include "server/requests/index_info.h"
#include "server/requests/index_requests.h"
#include "server/requests/keys.h"
#include "server/requests/put.h"
#include "server/requests/recall.h"
#include "server/requests/search.h"
#include "server/requests/snapshot.h"
#include "server/requests/strings.h"
#include "server/requests/survey.h"
#include "tests/server/request_fixture.h"
#include "tests/support/temporary_directory.h"

namespace engram::requests_test {
namespace {

using test::Found;
using test::Outcome;
using Fixture = test::RequestFixture;
using Vector = std::vector<float>;
using Ranges = std::vector<CoordinateRange>;

template <class T>
std::string error_of(const Result<T>& result) {
  return result ? "no error" : result.error().message;
}

std::string value_of(const std::vector<Fact>& facts, std::string_view name) {
  const auto found =
      std::find_if(facts.begin(), facts.end(), [&](const Fact& fact) { return fact.name == name; });
  return found == facts.end() ? "missing" : found->value;
}

TEST_CASE_FIXTURE(Fixture, "requests/index: indexes are made, listed and dropped") {
  create({.name = "b", .dim = 3});
  create({.name = "a", .dim = 2, .metric = "l2", .primitive = "flat"});
  CHECK(list_indexes(*store) == std::vector<std::string>{"a", "b"});
  CHECK(index("b").spec().metric == Metric::kCosine);
  CHECK(index("b").spec().primitive->name == "hnsw");
  CHECK(drop_index(*store, "a").has_value());
  CHECK(list_indexes(*store) == std::vector<std::string>{"b"});
  CHECK(drop_index(*store, "a").error().code == ErrorCode::kNotFound);
}

TEST_CASE_FIXTURE(Fixture, "requests/index: what cannot be made is refused") {
  create({.name = "taken", .dim = 3});
  store->keyspace().set("text", std::string("value"));
  const auto refusal = [&](const NewIndexRequest& request) {
    return error_of(create_index(*store, request));
  };
  CHECK(refusal({.name = "taken", .dim = 0}) == "index 'taken' already exists");
  CHECK(create_index(*store, {.name = "text", .dim = 3}).error().code == ErrorCode::kWrongType);
  CHECK(refusal({.name = "x", .dim = 0}) == "dimension must be an integer in 1..65536, got '0'");
  CHECK(refusal({.name = "x", .dim = 3, .metric = "l3"}) ==
        "unknown metric 'l3', expected cosine, l2 or dot");
  CHECK(refusal({.name = "x", .dim = 3, .primitive = "none"}).find("'none'") != std::string::npos);
  CHECK(refusal({.name = "x", .dim = 3, .primitive = "flat", .options = {{"SIZE", "1"}}})
            .starts_with("unknown option 'SIZE'"));
  CHECK(list_indexes(*store) == std::vector<std::string>{"taken"});
  NewIndexRequest request = {.name = "x", .dim = 3};
  CHECK(error_of(read_options({{"METRIC", "l2"}, {"metric", "l2"}}, request)) ==
        "option METRIC is given twice");
  REQUIRE(read_options({{"primitive", "flat"}, {"Metric", "l2"}}, request).has_value());
  create(request);
  CHECK(index("x").spec().metric == Metric::kL2);
}

/// A journal whose frame is nearly full.
class FullSink final : public ChangeSink {
 public:
  void record(const Change&) override {}
  [[nodiscard]] std::size_t recorded_bytes() const noexcept override { return recorded; }
  GracePeriod::Ticket begin() override { return 0; }
  void end(GracePeriod::Ticket) override {}

  std::size_t recorded = (std::size_t{2} << 30) - (std::size_t{1} << 20) - 100;
};

TEST_CASE_FIXTURE(Fixture,
                  "requests/keys: what is more than its command fits the journal's frame") {
  FullSink sink;
  Keyspace& keyspace = store->keyspace();
  keyspace.set("small", std::string(100, 'x'));
  keyspace.set("large", std::string(101, 'x'));
  keyspace.set_change_sink(&sink);
  CHECK(*copy_key(*store, {.from = "small", .to = "copy"}));
  CHECK(copy_key(*store, {.from = "large", .to = "copy", .replace = true}).error().code ==
        ErrorCode::kResourceExhausted);
  CHECK(rename_key(*store, {.from = "large", .to = "new"}).error().code ==
        ErrorCode::kResourceExhausted);
  const auto write = [&](std::int64_t offset) {
    return write_range(*store,
                       {.key = "zeros", .offset = offset, .bytes = "x", .most_bytes = 1000});
  };
  CHECK(write(101).error().code == ErrorCode::kResourceExhausted);
  CHECK(write(100) == std::size_t{101});
  CHECK(keyspace.contains("large"));
  keyspace.set_change_sink(nullptr);
}

TEST_CASE_FIXTURE(Fixture,
                  "requests/strings: sums are written with what they have of 17 decimals") {
  CHECK(add_real(*store, "a", 0.1L) == std::string("0.1"));
  CHECK(add_real(*store, "a", 0.2L) == std::string("0.3"));
  CHECK(add_real(*store, "a", -0.3L) == std::string("0"));
  CHECK(add_real(*store, "a", 1e20L) == std::string("100000000000000000000"));
  CHECK(parse_real("0x10") == 16.0L);
  for (const char* const text : {"", " 1", "1 ", "nan", "1e5000", "1e-5000", "1,5"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_real(text));
  }
  store->keyspace().set("text", std::string("x"));
  CHECK(error_of(add_real(*store, "text", 1)) == "value is not a valid float");
  CHECK(error_of(add_real(*store, "a", *parse_real("inf"))) ==
        "increment would produce NaN or Infinity");
}

TEST_CASE_FIXTURE(Fixture, "requests/index_ref: what is no index to look into is refused") {
  create({.name = "damaged", .dim = 2});
  index("damaged").collection->set_damage("a block is damaged");
  create({.name = "lsh", .dim = 2, .primitive = "lsh"});
  store->keyspace().set("text", std::string("value"));
  CHECK(error_of(find_index(*store, "none")) == "no such index 'none', VNEW makes one");
  CHECK(find_index(*store, "text").error().code == ErrorCode::kWrongType);
  CHECK(find_index(*store, "damaged").error().code == ErrorCode::kDataLoss);
  CHECK(error_of(find_index(*store, "damaged")) == "a block is damaged");
  CHECK(find_any_index(*store, "damaged").has_value());
  CHECK(find_recalling_index(*store, "lsh").error().code == ErrorCode::kUnsupported);
  CHECK(error_of(find_recalling_index(*store, "lsh")).find("those that can: ") !=
        std::string::npos);
}

TEST_CASE_FIXTURE(Fixture, "requests/put: vectors are put, read and erased") {
  create({.name = "x", .dim = 2, .metric = "l2", .primitive = "flat"});
  CHECK(put("x", {{"a", {1, 2}}, {"b", {3, 4}}}) == 2);
  CHECK(put("x", {{"b", {5, 6}}, {"c", {7, 8}}}) == 1);
  CHECK(get_vector(*store, "x", "b").value() == Vector{5, 6});
  CHECK(ask<bool>(EraseRequest{index("x"), "b"}).value());
  CHECK_FALSE(ask<bool>(EraseRequest{index("x"), "b"}).value());
  CHECK_FALSE(get_vector(*store, "x", "b").value().has_value());
  CHECK(get_vector(*store, "none", "b").error().code == ErrorCode::kNotFound);
}

TEST_CASE_FIXTURE(Fixture, "requests/put: a bad item is refused, the others can be put") {
  create({.name = "x", .dim = 2, .metric = "l2", .primitive = "flat"});
  PutRequest request(index("x"));
  CHECK(error_of(ask<std::size_t>(request)) == "there is no vector to put");
  REQUIRE(request.add("a", Vector{1, 2}).has_value());
  CHECK(error_of(request.add("", Vector{1, 2})) ==
        "a vector's key must have 1 to 65536 bytes, got 0");
  CHECK(request.add(std::string(65'537, 'k'), Vector{1, 2}).error().code ==
        ErrorCode::kInvalidArgument);
  CHECK(error_of(request.add("b", Vector{1, 2, 3})) == "vector has 3 dimensions, index 'x' has 2");
  CHECK(error_of(request.add("b", std::string_view("1234567"))) ==
        "vector has 7 bytes, expected packed float32, 4 bytes for each dimension");
  CHECK(error_of(request.add("b", Vector{1, NAN})).starts_with("vector component 1 is NaN"));
  CHECK(request.add("b", Vector{1, INFINITY}).error().code == ErrorCode::kInvalidArgument);
  CHECK(request.add("b", Vector{3e38F, 3e38F}).error().code == ErrorCode::kInvalidArgument);
  REQUIRE(request.add("c", Vector{3, 4}).has_value());
  CHECK(ask<std::size_t>(request).value() == 2);
  CHECK(get_vector(*store, "x", "c").value() == Vector{3, 4});
  CHECK_FALSE(get_vector(*store, "x", "b").value().has_value());
}

TEST_CASE_FIXTURE(Fixture, "requests/search: the nearest of every query of a batch, once") {
  create({.name = "x", .dim = 2, .metric = "l2", .primitive = "flat"});
  std::vector<std::pair<std::string, Vector>> items;
  std::vector<Vector> queries;
  for (int i = 0; i < 300; ++i) {
    const auto x = static_cast<float>(i);
    items.emplace_back(std::to_string(i), Vector{x, 0});
    queries.push_back({x, 0.25F});
  }
  put("x", items);
  const auto found = search(search_for("x", queries, 1));
  REQUIRE(found.has_value());
  REQUIRE(found->size() == queries.size());
  for (std::size_t i = 0; i < found->size(); ++i) {
    CHECK((*found)[i] == Found{{std::to_string(i), 0.25F}});
  }
  CHECK(search(search_for("x", {{0, 0}}, 2)).value() == std::vector<Found>{{{"0", 0}, {"1", 1}}});
}

TEST_CASE_FIXTURE(Fixture, "requests/search: an index that is dropped meanwhile still answers") {
  create_pair("flat");
  SearchRequest request = search_for("flat", {{4, 0}}, 1);
  REQUIRE(drop_index(*store, "flat").has_value());
  CHECK(search(std::move(request)).value() == std::vector<Found>{{{"b", 0}}});
}

TEST_CASE_FIXTURE(Fixture, "requests/search: what is out of bounds is refused, whoever asks") {
  create_pair("flat");
  const auto refusal = [&](const std::function<void(SearchRequest&)>& change) {
    SearchRequest request = search_for("flat", {{1, 1}}, 1);
    change(request);
    return error_of(search(std::move(request)));
  };
  CHECK(refusal([](SearchRequest& request) { request.queries = {}; }) == "there is no query");
  CHECK(refusal([](SearchRequest& request) { request.k = 0; }) ==
        "k must be an integer in 1..268435456, got '0'");
  CHECK(refusal([](SearchRequest& request) {
          request.ef = kMaxSlots + 1;
        }).starts_with("EF must be an integer in 1..268435456"));
  CHECK(refusal([](SearchRequest& request) {
          request.steps = 10'001;
        }).starts_with("STEPS must be an integer in 0..10000"));
  CHECK(error_of(check_neighbor_count(index("flat"), std::size_t{1} << 22, 9)) ==
        "the command asks for 8388608 answers, at most 4194304 are given at once");
  SearchRequest request = search_for("flat", {{1, 1}}, 1);
  CHECK(error_of(read_options({{"EF", "0"}}, request)) ==
        "EF must be an integer in 1..268435456, got '0'");
  CHECK(error_of(read_options({{"NONE", "0"}}, request)).starts_with("unknown option 'NONE'"));
  REQUIRE(read_options({{"ef", "7"}}, request).has_value());
  CHECK(request.ef == 7);
}

/// What a test looks at in a RecallAnswer.
struct Recalled {
  Vector state;
  std::string attractor;
  std::vector<std::string> support;
};

class RecallFixture : public Fixture {
 public:
  RecallFixture() { create_pair("mean"); }

  RecallRequest cue(const Vector& vector) {
    RecallRequest request = {.index = index("mean")};
    REQUIRE(request.cue.add(request.index, vector).has_value());
    return request;
  }

  Result<Recalled> recall(RecallRequest request) {
    Outcome<Recalled> outcome;
    const Responder<Recalled> kept = keep(outcome);
    start(*store, std::move(request),
          Responder<RecallAnswer>{.take =
                                      [&](const Result<RecallAnswer>& answer) {
                                        if (!answer)
                                          return kept.take(tl::unexpected(answer.error()));
                                        kept.take(Recalled{
                                            answer->recall.state,
                                            std::string(answer->attractor.value_or("none")),
                                            {answer->support.begin(), answer->support.end()}});
                                      },
                                  .finish = kept.finish});
    return finish(outcome);
  }

  Vector state_of(const Vector& vector, const Ranges& visible) {
    RecallRequest request = cue(vector);
    request.visible = visible;
    return recall(std::move(request)).value().state;
  }
};

TEST_CASE_FIXTURE(RecallFixture, "requests/recall: a cue is recalled, and its items are named") {
  const Recalled recalled = recall(cue({3, 7})).value();
  CHECK(recalled.state == Vector{2, 0});
  CHECK(recalled.attractor == "a");
  CHECK(recalled.support == std::vector<std::string>{"a", "b"});
  RecallRequest stored = {.index = index("mean"), .top = 0};
  REQUIRE(read_stored_cue("b", stored).has_value());
  CHECK(recall(stored).value().support.empty());
  CHECK(error_of(read_stored_cue("none", stored)) == "index 'mean' has no key 'none' to recall by");
}

TEST_CASE_FIXTURE(RecallFixture, "requests/recall: ranges of a mask come in any order") {
  CHECK(state_of({3, 7}, Ranges{{1, 2}}) == Vector{2, 7});
  CHECK(state_of({3, 7}, Ranges{}) == Vector{2, 0});
  CHECK(state_of({3, 7}, Ranges{{1, 2}, {0, 1}}) == Vector{2, 0});  // hides nothing
  RecallRequest request = cue({3, 7});
  request.visible = Ranges{{1, 1}};
  CHECK(error_of(recall(request)) == "bad range '[1, 1)' in MASK, it ends before it begins");
  request.visible = Ranges{{0, 3}};
  CHECK(error_of(recall(request)) ==
        "bad range '[0, 3)' in MASK, index 'mean' has 2 dimensions, counted from 0");
}

TEST_CASE_FIXTURE(RecallFixture, "requests/recall: what is out of bounds is refused") {
  RecallRequest request = {.index = index("mean")};
  CHECK(error_of(recall(request)) == "expected one cue");
  request = cue({3, 7});
  request.top = kMaxSlots + 1;
  CHECK(error_of(recall(request)).starts_with("TOP must be an integer in 0..268435456"));
  CHECK(error_of(read_options({{"SCALE", "-1"}}, request)).starts_with("option SCALE must be"));
  create_pair("mean.saved", "dot");
  RecallRequest dot = {.index = index("mean.saved")};
  REQUIRE(read_stored_cue("a", dot).has_value());
  CHECK(error_of(recall(dot)) == "the mean means nothing under dot");
}

TEST_CASE_FIXTURE(RecallFixture, "requests/recall: the energy of a state") {
  EnergyRequest request = {.index = index("mean")};
  CHECK(error_of(ask<double>(request)) == "expected one state");
  REQUIRE(request.state.add(request.index, Vector{5, 0}).has_value());
  CHECK(ask<double>(request).value() == 3);
  REQUIRE(read_options({{"SCALE", "2"}}, request).has_value());
  CHECK(ask<double>(request).value() == 6);
}

/// What `primitive`, which has an option STEPS, finds from where one step of recall leads.
void check_relaxed(RecallFixture& fixture, const Primitive& primitive) {
  fixture.create_pair(primitive.name);
  const TuneRequest tune = {{.index = fixture.index(primitive.name)}};
  REQUIRE(fixture.ask<Tuning>(tune).has_value());
  const std::vector<Vector> cues = {{3, 1}, {1, 1}, {2, 9}};
  std::vector<Vector> states;
  for (const Vector& cue : cues) {
    RecallRequest request = {.index = fixture.index(primitive.name)};
    REQUIRE(request.cue.add(request.index, cue).has_value());
    REQUIRE(read_options({{"STEPS", "1"}}, request).has_value());
    states.push_back(fixture.recall(request).value().state);
  }
  SearchRequest relaxed = fixture.search_for(primitive.name, cues, 2);
  relaxed.steps = 1;
  CHECK(fixture.search(relaxed).value() ==
        fixture.search(fixture.search_for(primitive.name, states, 2)).value());
}

TEST_CASE_FIXTURE(RecallFixture, "requests/search: steps of recall come first, for each query") {
  if (const auto hopfield = find_primitive("hopfield")) check_relaxed(*this, **hopfield);
  SearchRequest request = search_for("mean", {{9, 9}, {-9, 9}}, 1);
  request.steps = 1;
  CHECK(error_of(search(request)) == "unknown option 'STEPS', known options are SCALE");
}

TEST_CASE_FIXTURE(Fixture, "requests/survey: a survey tunes or describes an index") {
  create_pair("mean");
  const auto facts = ask<std::vector<Fact>>(DiagnoseRequest{{.index = index("mean")}});
  CHECK(value_of(facts.value(), "sample") == "2");
  CHECK(ask<Tuning>(TuneRequest{{.index = index("mean")}}).value() ==
        Tuning{{"radius", 2}, {"items", 2}});
  const auto info = ask<std::vector<Fact>>(InfoRequest{index("mean")});
  CHECK(info.value().front().name == "quant-type");
  CHECK(value_of(info.value(), "size") == "2");
  CHECK(std::stod(value_of(info.value(), "radius")) == 2);
  for (const std::size_t sample : {std::size_t{1}, std::size_t{4097}}) {
    const TuneRequest request = {{.index = index("mean"), .sample = sample}};
    CHECK(error_of(ask<Tuning>(request)).starts_with("SAMPLE must be an integer in 2..4096"));
  }
  REQUIRE(ask<bool>(EraseRequest{index("mean"), "a"}).value());
  CHECK(error_of(ask<Tuning>(TuneRequest{{.index = index("mean")}}))
            .starts_with("at least 2 items are needed to tune"));
}

TEST_CASE("requests/survey: what is tuned waits for the transaction of another") {
  Fixture fixture({.workers = 1});  // so that the steps of two surveys take turns
  fixture.create_pair("mean");
  Outcome<Tuning> tuning;
  start(*fixture.store, TuneRequest{{.index = fixture.index("mean")}}, keep(tuning));
  fixture.store->gate().close();
  fixture.store->begin_transaction();
  for (int i = 0; i < 2; ++i) {
    const DiagnoseRequest request = {{.index = fixture.index("mean")}};
    REQUIRE(fixture.ask<std::vector<Fact>>(request).has_value());
  }
  CHECK_FALSE(tuning.is_finished);
  fixture.store->end_transaction();
  fixture.store->gate().open();
  CHECK(fixture.finish(tuning).has_value());
}

TEST_CASE_FIXTURE(Fixture, "requests/survey: a step of a transaction does not wait for itself") {
  create_pair("mean");
  store->gate().close();
  store->begin_transaction();
  CHECK(ask<Tuning>(TuneRequest{{.index = index("mean")}}).has_value());
  store->end_transaction();
  store->gate().open();
}

TEST_CASE("requests: with a directory, tunings wait for the journal and snapshots are taken") {
  const test::TemporaryDirectory directory;
  Fixture fixture({.directory = directory.path(), .fsync = FsyncPolicy::kAlways, .workers = 2});
  fixture.create_pair("mean");
  Outcome<Tuning> tuning;
  start(*fixture.store, TuneRequest{{.index = fixture.index("mean")}}, keep(tuning));
  CHECK(fixture.finish(tuning).has_value());
  CHECK(tuning.lsn > 0);
  bool is_saved = false;
  REQUIRE(
      start_snapshot(*fixture.store, {.take = [](const Status& saved) { CHECK(saved.has_value()); },
                                      .finish = [&](Lsn) { is_saved = true; }})
          .has_value());
  const Status second = start_snapshot(*fixture.store, {});
  CHECK(error_of(second) == "Background save already in progress");
  fixture.run_until([&] { return is_saved; });
}

TEST_CASE_FIXTURE(Fixture, "requests: without a directory there are no snapshots") {
  const Status started = start_snapshot(*store, {});
  CHECK(started.error().code == ErrorCode::kUnsupported);
}

}  // namespace
}  // namespace engram::requests_test
