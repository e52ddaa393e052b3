// SPDX-License-Identifier: Apache-2.0
// Strengths in the engine: what becomes of an item's under puts, touches and erases, and that
// searches rank by them.
#include "server/engine/strengths.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "tests/server/collection_fixture.h"
#include "tests/support/each_primitive.h"
#include "tests/support/rows.h"
#include "tests/support/seed.h"

namespace engram::strength_test {
namespace {

using test::Vector;
using Fixture = test::CollectionFixture;
using Rng = std::mt19937_64;

constexpr Decay kSecond = {.policy = DecayPolicy::kExp, .half_life_ms = 1000};

const Primitive& flat() {
  return **find_primitive("flat");
}

TEST_CASE("engine/strengths: the greatest is that of the items there are, whatever went before") {
  auto rng = test::make_rng(90);
  Strengths strengths(kSecond);
  REQUIRE(strengths.ensure(5000).has_value());
  std::map<Slot, double> model;
  for (int step = 0; step < 20'000; ++step) {
    const auto slot = static_cast<Slot>(rng() % 5000);
    if (rng() % 3 == 0) {
      strengths.remove(slot);
      model.erase(slot);
    } else {
      const double value = static_cast<double>(rng() % 1000) / 10;
      strengths.set(slot, {.amount = value});
      model[slot] = value;
    }
    if (step % 50 != 0) continue;
    double greatest = -std::numeric_limits<double>::infinity();
    for (const auto& [_, value] : model) greatest = std::max(greatest, value);
    CHECK(strengths.greatest(0) == greatest);
  }
}

TEST_CASE("engine/strengths: whether all items are equally strong is known, whatever went before") {
  auto rng = test::make_rng(97);
  Strengths strengths(kSecond);
  REQUIRE(strengths.ensure(5000).has_value());
  REQUIRE(strengths.allow_rules().has_value());
  std::map<Slot, double> model;  // NaN: by a rule of its own
  std::size_t even = 0;
  for (int step = 0; step < 20'000; ++step) {
    const auto slot = static_cast<Slot>(rng() % 6 * 999);  // of several blocks, few of each
    if (rng() % 2 == 0) {
      strengths.remove(slot);
      model.erase(slot);
    } else if (rng() % 20 == 0) {
      strengths.set(slot, {.kind = TraceKind::kPinned, .amount = 1});
      model[slot] = std::numeric_limits<double>::quiet_NaN();
    } else {
      const double value = static_cast<double>(rng() % 3) - 1;
      strengths.set(slot, {.amount = value});
      model[slot] = value;
    }
    const bool are_even = std::all_of(model.begin(), model.end(), [&](const auto& item) {
      return item.second == model.begin()->second;  // which NaN is not
    });
    REQUIRE(strengths.are_even() == are_even);
    if (are_even && model.size() > 1) ++even;
  }
  CHECK(even > 100);
}

TEST_CASE("engine/strengths: the wall's time never falls behind, a client's may") {
  Strengths strengths(kSecond);
  CHECK(strengths.take_time({.wall_ms = 5000}) == 5000);
  CHECK(strengths.take_time({.wall_ms = 4000}) == 5000);
  CHECK(strengths.take_time({.at_ms = 100, .wall_ms = 6000}) == 100);
  CHECK(strengths.take_time({.wall_ms = 6000}) == 6000);
  CHECK(strengths.take_time({.at_ms = 9000}) == 9000);
  CHECK(strengths.take_time({.wall_ms = 7000}) == 9000);
}

TEST_CASE("engine/strengths: a touch counts at once, while the put of its key is under way") {
  Fixture fixture(flat(), 2, 2, kSecond);
  Collection& collection = *fixture.collection;
  const std::vector<std::string_view> key = {"a"};
  CHECK_FALSE(collection.touch(key, {.at_ms = 0})[0].has_value());
  fixture.start_put("a", {1, 0}, {.gain = 2, .at_ms = 0});
  CHECK(*collection.touch(key, {.gain = 3, .at_ms = 0})[0] == doctest::Approx(std::log(5.0)));
  fixture.finish();
  CHECK(*collection.log_strength("a", 0) == doctest::Approx(std::log(5.0)));

  // An overwrite begins anew, unless it keeps what was there.
  fixture.start_put("a", {0, 1}, {.gain = 7, .at_ms = 0});
  fixture.start_put("a", {1, 1}, {.gain = 4, .at_ms = 0, .adds = true});
  CHECK(*collection.touch(key, {.at_ms = 0})[0] == doctest::Approx(std::log(12.0)));
  fixture.finish();
  CHECK(*collection.log_strength("a", 0) == doctest::Approx(std::log(12.0)));

  fixture.start_erase("a");
  CHECK_FALSE(collection.touch(key, {.at_ms = 0})[0].has_value());
  fixture.start_put("a", {1, 1}, {.at_ms = 0, .adds = true});
  CHECK(*collection.log_strength("a", 0) == doctest::Approx(0));
  fixture.finish();
  CHECK(*collection.log_strength("a", 0) == doctest::Approx(0));
  CHECK(collection.strengths().greatest(0) == *collection.log_strength("a", 0));
  CHECK(fixture.erase("a"));
  CHECK(collection.strengths().greatest(0) == -std::numeric_limits<double>::infinity());
}

/// An index without room, while that is said.
class Refusing final : public Index {
 public:
  Status insert(const Insertion&, Scratch&) override {
    if (is_full) return fail(ErrorCode::kResourceExhausted, "full");
    return {};
  }
  void erase(Slot, Scratch&) override {}
  Status search(Query, const SearchParams&, Scratch&, std::vector<Hit>&) const override {
    return {};
  }
  std::size_t size() const noexcept override { return 0; }
  std::size_t memory_bytes() const noexcept override { return 0; }

  static inline std::atomic<bool> is_full = false;
};

Result<std::unique_ptr<Index>> create_refusing(const IndexContext&, const Options&) {
  return std::make_unique<Refusing>();
}

/// Keeps what was said last of the strength of a key.
class LastStrength final : public ChangeSink {
 public:
  void record(const Change& change) override {
    const auto* const set = std::get_if<SetStrength>(&change);
    if (set != nullptr) trace = set->trace;
  }
  GracePeriod::Ticket begin() override { return 0; }
  void end(GracePeriod::Ticket) override {}

  Trace trace;
};

TEST_CASE("engine/strengths: what is done to a key outlives puts of it that fail") {
  const Primitive refusing = {.name = "refusing",
                              .summary = {},
                              .source = {},
                              .traits = {.takes_bias = true},
                              .create = create_refusing};
  for (const Decay& decay : {kSecond, Decay{.policy = DecayPolicy::kPower, .exponent = 0.5},
                             Decay{.policy = DecayPolicy::kEbb, .stability_ms = 5000}}) {
    CAPTURE(decay_text(decay));
    Fixture fixture(refusing, 2, 2, decay);
    Collection& collection = *fixture.collection;
    LastStrength sink;
    collection.set_change_sink(&sink);
    const std::vector<std::string_view> key = {"a"};
    fixture.start_put("a", {1, 0}, {.gain = 2, .at_ms = 1000});
    collection.touch(key, {.gain = 3, .at_ms = 2000});
    fixture.finish();
    Trace expected = collection.strengths().trace(collection.strength_slot("a"));
    Refusing::is_full = true;
    for (const std::int64_t ms : {3000, 5000}) {
      Collection::PutBatch batch(fixture.collection);
      REQUIRE(batch.add("a", Vector{0, 1}).has_value());
      ++fixture.running;
      batch.commit(
          [&](const Result<std::size_t>& added) {
            CHECK_FALSE(added.has_value());
            --fixture.running;
          },
          {.gain = 7, .at_ms = ms});
      collection.touch(key, {.gain = 4, .at_ms = ms + 1000});
      collection.weaken("a", 0.5, ms + 1500);
      add_gain(decay, 4, ms + 1000, expected);
      weaken(0.5, expected);
    }
    fixture.finish();
    Refusing::is_full = false;
    CHECK(collection.strengths().trace(collection.strength_slot("a")) == expected);
    CHECK(sink.trace == expected);
    collection.set_change_sink(nullptr);
  }
}

TEST_CASE("engine/strengths: touches commute") {
  auto rng = test::make_rng(91);
  for (int round = 0; round < 20; ++round) {
    std::vector<StrengthGain> gains;
    for (int i = 0; i < 12; ++i) {
      gains.push_back({.gain = 1 + static_cast<double>(rng() % 50) / 7,
                       .at_ms = static_cast<std::int64_t>(rng() % 20'000)});
    }
    std::vector<double> sums;
    for (int order = 0; order < 3; ++order) {
      Fixture fixture(flat(), 2, 1, kSecond);
      fixture.start_put("a", {1, 0}, {.at_ms = 100});
      const std::vector<std::string_view> key = {"a"};
      for (const StrengthGain& gain : gains) fixture.collection->touch(key, gain);
      sums.push_back(*fixture.collection->log_strength("a", 0));
      fixture.finish();
      std::shuffle(gains.begin(), gains.end(), rng);
    }
    CHECK(sums[1] == doctest::Approx(sums[0]).epsilon(1e-12));
    CHECK(sums[2] == doctest::Approx(sums[0]).epsilon(1e-12));
  }
}

TEST_CASE("engine/strengths: a trace is read whole while it is written") {
  const Decay decay = {.policy = DecayPolicy::kPower, .exponent = 1};
  Strengths strengths(decay);
  REQUIRE(strengths.ensure(1).has_value());
  const auto make = [](std::int64_t n) {
    Trace trace = {.kind = TraceKind::kUses, .ms = n};
    trace.recent_count = 1 + static_cast<std::uint32_t>(n % 8);
    trace.amount = static_cast<double>(n);
    for (std::size_t i = 0; i < trace.recent_count; ++i) {
      trace.recent[i] = {n + 100 - static_cast<std::int64_t>(i), static_cast<double>(n)};
    }
    return trace;
  };
  strengths.set(0, make(1));
  std::atomic<bool> ends{false};
  std::atomic<int> torn{0};
  std::vector<std::thread> readers;
  for (int reader = 0; reader < 2; ++reader) {
    readers.emplace_back([&] {
      while (!ends) {
        const Trace trace = strengths.trace(0);
        if (trace != make(trace.ms)) ++torn;
        if (!std::isfinite(strengths.greatest(500))) ++torn;
      }
    });
  }
  for (std::int64_t n = 2; n < 20'000; ++n) strengths.set(0, make(n));
  ends = true;
  for (std::thread& reader : readers) reader.join();
  CHECK(torn == 0);
}

TEST_CASE("engine/strengths: an item that keeps its strength keeps its rule") {
  Fixture fixture(flat(), 2, 1, kSecond);
  Collection& collection = *fixture.collection;
  const auto trace = [&] { return collection.strengths().trace(collection.strength_slot("a")); };
  fixture.start_put("a", {1, 0}, {.gain = 2, .at_ms = 0, .rule = {.half_life_ms = 5000}});
  CHECK(trace().half_life_ms == 5000);
  CHECK(*collection.log_strength("a", 10'000) == doctest::Approx(std::log(0.5)));
  fixture.start_put("a", {0, 1}, {.at_ms = 5000, .adds = true});
  CHECK(trace().half_life_ms == 5000);
  CHECK(*collection.log_strength("a", 10'000) == doctest::Approx(std::log(1)));
  fixture.start_put("a", {0, 1}, {.at_ms = 10'000, .adds = true, .rule = {.pins = true}});
  CHECK(trace().is_pinned());
  CHECK(*collection.log_strength("a", 900'000) == doctest::Approx(std::log(2)));
  collection.touch(std::vector<std::string_view>{"a"}, {.at_ms = 20'000});
  CHECK(*collection.log_strength("a", 900'000) == doctest::Approx(std::log(3)));
  fixture.start_put("a", {0, 1}, {.at_ms = 0});
  CHECK(trace() == new_trace(kSecond, 1, 0));
  fixture.finish();
  CHECK(trace() == new_trace(kSecond, 1, 0));
}

TEST_CASE("engine/strengths: what no policy gives is not set") {
  Fixture fixture(flat(), 2, 1, kSecond);
  fixture.put("a", {1, 0});
  const Trace uses = new_trace({.policy = DecayPolicy::kPower, .exponent = 1}, 1, 0);
  const Status set = fixture.collection->set_strength("a", uses, 5);
  REQUIRE_FALSE(set.has_value());
  CHECK(set.error().code == ErrorCode::kDataLoss);
}

TEST_CASE("engine/strengths: reads do not depend on when they come") {
  auto rng = test::make_rng(94);
  Fixture fixture(flat(), 4, 1, kSecond);
  for (int i = 0; i < 30; ++i) {
    fixture.put("k" + std::to_string(i), test::random_vector(4, rng));
    fixture.collection->touch(std::vector<std::string_view>{"k" + std::to_string(i)},
                              {.at_ms = 100 * i});
  }
  const Vector query = test::random_vector(4, rng);
  const auto before = fixture.search(query, 30);
  CHECK(fixture.search(query, 30, 1'000'000) == before);
  // What touches nothing is not recorded, so no replay would know its time.
  fixture.collection->touch(std::vector<std::string_view>{"none"}, {.at_ms = 1'000'000});
  CHECK(fixture.collection->strengths().last_ms() == 2900);
}

/// Searches meet every write under way, and answer as many keys as there must be.
void write_beside_searches(Rng& rng, const Primitive& primitive, const Decay& decay) {
  Fixture fixture(primitive, 8, 3, decay);
  std::vector<std::string> keys;
  for (int i = 0; i < 300; ++i) keys.push_back("k" + std::to_string(i));
  for (const std::string& key : keys) fixture.start_put(key, test::random_vector(8, rng));
  fixture.finish();
  std::vector<std::vector<std::pair<std::string, float>>> found(200);
  for (auto& each : found) {
    const std::string& key = keys[rng() % keys.size()];
    const auto ms = static_cast<std::int64_t>(rng() % 30'000);
    fixture.start_search(test::random_vector(8, rng), 10, &each, ms);
    StrengthGain gain = {.at_ms = ms, .adds = rng() % 2 == 0};
    fixture.collection->touch(std::vector<std::string_view>{key}, gain);
    gain.rule.pins = rng() % 6 == 0;
    if (rng() % 3 == 0) fixture.start_put(key, test::random_vector(8, rng), gain);
    if (rng() % 9 == 0) fixture.start_erase(key);
    if (rng() % 5 == 0) fixture.start_put(key, test::random_vector(8, rng), gain);
  }
  fixture.finish();
  for (const auto& each : found) {
    CHECK(each.size() == 10);
    std::set<std::string> distinct;
    for (const auto& [key, distance] : each) distinct.insert(key);
    CHECK(distinct.size() == each.size());
  }
}

TEST_CASE("engine/strengths: touches go on beside searches, puts and erases") {
  auto rng = test::make_rng(95);
  test::for_each_primitive([&](const Primitive& primitive) {
    if (!primitive.traits.takes_bias) return;
    write_beside_searches(rng, primitive, kSecond);
    write_beside_searches(rng, primitive, {.policy = DecayPolicy::kPower, .exponent = 1});
  });
}

}  // namespace
}  // namespace engram::strength_test
