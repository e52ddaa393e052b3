// SPDX-License-Identifier: Apache-2.0
// What is done to strengths, asked by requests: what they may record at once, what becomes of it
// when something fails, and what the store does by itself.
#include <doctest/doctest.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/metrics/server_stats.h"
#include "server/requests/consolidate.h"
#include "server/requests/forget.h"
#include "server/requests/recall.h"
#include "server/session/session.h"
#include "tests/server/request_fixture.h"
#include "tests/support/temporary_directory.h"

namespace engram::reinforcement_test {
namespace {

using test::Outcome;
using Vector = std::vector<float>;

class Fixture : public test::RequestFixture {
 public:
  using RequestFixture::RequestFixture;

  void create_fading(std::string_view name, std::vector<OptionText> options) {
    options.emplace_back("METRIC", "l2");
    NewIndexRequest request = {.name = name, .dim = 2};
    REQUIRE(read_options(std::move(options), request).has_value());
    create(request);
  }

  double strength(std::string_view name, std::string_view key) {
    return (*strength_of(*store, {.index = index(name), .key = key}))->strength;
  }

  RecallRequest recall_of(std::string_view name, const Vector& cue, std::size_t top = 10) {
    RecallRequest request = {.index = index(name), .top = top};
    REQUIRE(request.cue.add(request.index, cue).has_value());
    return request;
  }

  Result<bool> recall(RecallRequest request) {
    Outcome<bool> outcome;
    const Responder<bool> kept = keep(outcome);
    start(*store, std::move(request),
          Responder<RecallAnswer>{.take =
                                      [&](const Result<RecallAnswer>& answer) {
                                        outcome.answer = answer ? Result<bool>(true)
                                                                : tl::unexpected(answer.error());
                                      },
                                  .finish = kept.finish});
    run_until([&] { return outcome.is_finished; });
    return *outcome.answer;
  }
};

/// A journal whose frame is nearly full.
class FullSink final : public ChangeSink {
 public:
  void record(const Change&) override { ++records; }
  [[nodiscard]] std::size_t recorded_bytes() const noexcept override {
    return (std::size_t{2} << 30) - (std::size_t{1} << 20) - 100;
  }
  GracePeriod::Ticket begin() override { return 0; }
  void end(GracePeriod::Ticket) override {}

  int records = 0;
};

template <class T>
bool is_refused(const Result<T>& result) {
  return !result && result.error().code == ErrorCode::kResourceExhausted;
}

TEST_CASE_FIXTURE(Fixture,
                  "requests/strength: what a frame has no room for is refused as a whole") {
  create_fading("i", {{"PRIMITIVE", "hopfield"}, {"BETA", "1"}, {"DECAY", "static"}});
  create_fading(
      "soft",
      {{"PRIMITIVE", "hopfield"}, {"BETA", "1"}, {"DECAY", "static"}, {"REINFORCE", "soft"}});
  for (const char* const name : {"i", "soft"}) put(name, {{"a", {0, 0}}, {"b", {4, 0}}});
  FullSink sink;
  store->keyspace().set_change_sink(&sink);
  for (const char* const name : {"i", "soft"}) index(name).collection->set_change_sink(&sink);

  CHECK(is_refused(touch(*store, {.index = index("i"), .keys = {"a", "b"}})));
  SearchRequest touching = search_for("i", {{0, 0}}, 2);
  touching.strength.touch = 1;
  CHECK(is_refused(search(touching)));
  RecallRequest touching_recall = recall_of("i", {0, 0});
  touching_recall.strength.touch = 1;
  CHECK(is_refused(recall(touching_recall)));
  CHECK(is_refused(recall(recall_of("soft", {0, 0}))));
  PutRequest put_again(index("i"));
  REQUIRE(put_again.add("a", Vector{0, 0}).has_value());
  CHECK(is_refused(ask<std::size_t>(put_again)));
  PutRequest unless = put_again;
  for (const std::optional<double> touch : {std::optional(1.0), std::optional<double>()}) {
    unless.unless = {touch ? 1.0F : -1.0F, touch};
    CHECK(is_refused(ask<Admission>(unless)));
  }
  CHECK(is_refused(ask<std::vector<WeakItem>>(ForgetRequest{.index = index("i"), .below = 10})));

  CHECK(sink.records == 0);
  CHECK(strength("i", "a") == 1);
  CHECK(strength("soft", "a") == 1);
  CHECK(index("i").collection->size() == 2);
  store->keyspace().set_change_sink(nullptr);
  for (const char* const name : {"i", "soft"}) index(name).collection->set_change_sink(nullptr);
}

TEST_CASE_FIXTURE(Fixture, "requests/recall: a recall whose answer is too large touches nothing") {
  create_fading("i", {{"PRIMITIVE", "hopfield"}, {"BETA", "1"}, {"DECAY", "static"}});
  const std::string key(1000, 'k');
  put("i", {{key, {0, 1}}, {"b", {4, 0}}});
  RecallRequest request = recall_of("i", {0, 1});
  request.strength.touch = 1;
  request.most_bytes = 1000;
  CHECK(recall(request).error().message.ends_with("ask for a smaller TOP"));
  CHECK(strength("i", key) == 1);
  request.most_bytes = 1200;
  CHECK(recall(request).has_value());
  CHECK(strength("i", key) == 2);
}

TEST_CASE_FIXTURE(Fixture,
                  "engine/store: what waits in an index that was dropped goes at the end") {
  create_pair("flat");
  const std::weak_ptr<Collection> collection = index("flat").collection;
  Outcome<Admission> admission;
  PutRequest request(index("flat"));
  REQUIRE(request.add("c", Vector{9, 9}).has_value());
  request.unless = {0.5F, std::nullopt};
  start(*store, request, keep(admission));
  REQUIRE(drop_index(*store, "flat").has_value());
  request = PutRequest({.name = {}, .collection = nullptr});
  REQUIRE(store->close().has_value());
  store->abandon_waiting_operations();
  CHECK_FALSE(admission.is_finished);
  CHECK(collection.expired());
}

/// Turns the store, whose indexes forget by themselves, until `is_done`.
template <class Condition>
void turn_until(Fixture& fixture, std::int64_t& now_ms, Condition is_done) {
  Store& store = *fixture.store;
  for (int turn = 0; !is_done(); ++turn) {
    REQUIRE(turn < 1'000'000);
    store.begin_turn(++now_ms);
    store.collect();
    store.end_turn();
  }
}

TEST_CASE_FIXTURE(Fixture, "engine/background_upkeep: one look is for many batches") {
  create_fading("i",
                {{"PRIMITIVE", "flat"}, {"DECAY", "static"}, {"BUDGET", "10"}, {"EVERY", "50"}});
  std::vector<std::pair<std::string, Vector>> items;
  for (int i = 0; i < 6000; ++i) items.push_back({std::to_string(i), {static_cast<float>(i), 0}});
  put("i", items);
  REQUIRE(touch(*store, {.index = index("i"), .keys = {"7", "4000", "5999"}}).has_value());
  Collection& collection = *index("i").collection;
  std::int64_t now_ms = 1000;
  turn_until(*this, now_ms, [&] { return collection.size() <= 10; });
  CHECK(collection.size() == 10);
  CHECK(store->upkeep().looks() == 1);
  for (const char* const key : {"7", "4000", "5999"}) CHECK(collection.get(key).has_value());
  CHECK(collection.get("999").has_value());  // of equal ones the last by key stay
}

TEST_CASE_FIXTURE(Fixture, "engine/background_upkeep: nothing is forgotten while writes pause") {
  create_fading("i",
                {{"PRIMITIVE", "flat"}, {"DECAY", "static"}, {"BUDGET", "10"}, {"EVERY", "50"}});
  std::vector<std::pair<std::string, Vector>> items;
  for (int i = 0; i < 3000; ++i) items.push_back({std::to_string(i), {static_cast<float>(i), 0}});
  put("i", items);
  Collection& collection = *index("i").collection;
  std::int64_t now_ms = 1000;
  turn_until(*this, now_ms, [&] { return collection.size() < 3000; });
  store->set_paused(true);
  turn_until(*this, now_ms, [&] { return store->upkeep().rounds_under_way() == 0; });
  const std::size_t kept = collection.size();
  CHECK(kept > 10);
  const std::int64_t later = now_ms + 200;
  turn_until(*this, now_ms, [&] { return now_ms > later; });
  CHECK(collection.size() == kept);
  store->set_paused(false);
  turn_until(*this, now_ms, [&] { return collection.size() == 10; });
}

TEST_CASE("requests/consolidate: a large group is one frame, written over several turns") {
  const test::TemporaryDirectory directory;
  Fixture fixture({.directory = directory.path(), .workers = 1});
  Store& store = *fixture.store;
  fixture.create_fading("i", {{"PRIMITIVE", "flat"}, {"DECAY", "static"}});
  std::vector<std::pair<std::string, Vector>> items;
  for (int i = 0; i < 3000; ++i)
    items.push_back({std::to_string(i), {1, static_cast<float>(i % 2)}});
  fixture.put("i", items);
  const Lsn before = store.persistence()->seal();
  Outcome<std::size_t> outcome;
  const Responder<std::size_t> kept = keep(outcome);
  start(store,
        ConsolidateRequest{.index = fixture.index("i"), .params = {.grouping = {.radius = 2}}},
        Responder<ConsolidateAnswer>{.take =
                                         [&](const Result<ConsolidateAnswer>& answer) {
                                           outcome.answer =
                                               answer ? Result<std::size_t>(answer->members)
                                                      : tl::unexpected(answer.error());
                                         },
                                     .finish = kept.finish});
  int turns = 0;  // in which others wait
  while (!outcome.is_finished) {
    store.collect();
    store.persistence()->poll();
    turns += store.gate().is_closed() ? 1 : 0;
  }
  CHECK(*outcome.answer == items.size());
  CHECK(turns > 10);
  CHECK(fixture.index("i").collection->size() == 1);
  CHECK(outcome.lsn == before + 1);
  CHECK(store.persistence()->facts().last == before + 1);
}

class SilentSink final : public ClientSink {
 public:
  void reply(std::string_view) override {}
  std::string refusal(const Error& error) override { return error.message; }
  void progressed() override {}
};

TEST_CASE("session: a key that a read finds expired is in a frame of its own") {
  const test::TemporaryDirectory directory;
  Fixture fixture({.directory = directory.path(), .workers = 1});
  Store& store = *fixture.store;
  ServerStats stats;
  Sessions sessions(store, stats);
  SilentSink sink;
  Session session(sessions, sink);
  Keyspace& keyspace = store.keyspace();
  keyspace.set_now(1000);
  keyspace.set("expiring", std::string("value"));
  keyspace.expire_at("expiring", 2000);
  const auto start = [&](CommandKind kind, auto&& act) {
    REQUIRE(session.start(kind, [&](Deferred reply) {
      act();
      reply.reply_rendered({});
    }));
    return store.persistence()->facts().last;
  };
  const Lsn before = store.persistence()->seal();
  keyspace.set_now(3000);
  CHECK(start(CommandKind::kRead, [&] { CHECK(keyspace.find("expiring") == nullptr); }) ==
        before + 1);
  CHECK(start(CommandKind::kRead, [&] { CHECK(keyspace.find("expiring") == nullptr); }) ==
        before + 1);
  CHECK(start(CommandKind::kWrite, [&] { keyspace.set("other", std::string("value")); }) ==
        before + 2);
}

}  // namespace
}  // namespace engram::reinforcement_test
