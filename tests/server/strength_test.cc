// SPDX-License-Identifier: Apache-2.0
// Strengths in the engine: what becomes of an item's under puts, touches and erases, and that
// searches rank by them.
#include "server/engine/strengths.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tests/server/collection_fixture.h"
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

Vector random_vector(Rng& rng, std::size_t dim) {
  std::normal_distribution<float> gauss;
  Vector vector(dim);
  for (float& value : vector) value = gauss(rng);
  return vector;
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
      strengths.set(slot, value);
      model[slot] = value;
    }
    if (step % 50 != 0) continue;
    double greatest = -std::numeric_limits<double>::infinity();
    for (const auto& [_, value] : model) greatest = std::max(greatest, value);
    CHECK(strengths.greatest() == greatest);
  }
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
  CHECK(*collection.log_strength("a") == doctest::Approx(std::log(5.0)));

  // An overwrite begins anew, unless it keeps what was there.
  fixture.start_put("a", {0, 1}, {.gain = 7, .at_ms = 0});
  fixture.start_put("a", {1, 1}, {.gain = 4, .at_ms = 0, .adds = true});
  CHECK(*collection.touch(key, {.at_ms = 0})[0] == doctest::Approx(std::log(12.0)));
  fixture.finish();
  CHECK(*collection.log_strength("a") == doctest::Approx(std::log(12.0)));

  fixture.start_erase("a");
  CHECK_FALSE(collection.touch(key, {.at_ms = 0})[0].has_value());
  fixture.start_put("a", {1, 1}, {.at_ms = 0, .adds = true});
  CHECK(*collection.log_strength("a") == doctest::Approx(0));
  fixture.finish();
  CHECK(*collection.log_strength("a") == doctest::Approx(0));
  CHECK(collection.strengths().greatest() == *collection.log_strength("a"));
  CHECK(fixture.erase("a"));
  CHECK(collection.strengths().greatest() == -std::numeric_limits<double>::infinity());
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
      sums.push_back(*fixture.collection->log_strength("a"));
      fixture.finish();
      std::shuffle(gains.begin(), gains.end(), rng);
    }
    CHECK(sums[1] == doctest::Approx(sums[0]).epsilon(1e-12));
    CHECK(sums[2] == doctest::Approx(sums[0]).epsilon(1e-12));
  }
}

/// All that was ever given to an item, and the plainest way to rank by it.
struct Item {
  Vector vector;
  std::vector<std::pair<double, std::int64_t>> gains;
};

class Oracle {
 public:
  /// start: a time from which others are counted, so that it costs no digits.
  Oracle(Metric metric, const Decay& decay, std::int64_t start)
      : metric_(metric), decay_(decay), start_(start) {}

  void put(const std::string& key, const Vector& vector, const StrengthGain& gain) {
    Item& item = items_[key];
    item.vector = vector;
    if (!gain.adds) item.gains.clear();
    item.gains.emplace_back(gain.gain, *gain.at_ms);
  }
  void touch(const std::string& key, const StrengthGain& gain) {
    const auto found = items_.find(key);
    if (found != items_.end()) found->second.gains.emplace_back(gain.gain, *gain.at_ms);
  }
  void erase(const std::string& key) { items_.erase(key); }

  /// The effective distance of every item by the float64 of a textbook, least first.
  std::vector<std::pair<double, std::string>> rank(const Vector& query, double beta) const {
    double greatest = -std::numeric_limits<double>::infinity();
    for (const auto& [_, item] : items_) greatest = std::max(greatest, log_strength(item));
    std::vector<std::pair<double, std::string>> ranked;
    for (const auto& [key, item] : items_) {
      const double penalty = decay_.omega * (greatest - log_strength(item)) / beta;
      ranked.emplace_back(distance(query, item.vector, penalty), key);
    }
    std::sort(ranked.begin(), ranked.end());
    return ranked;
  }

 private:
  double log_strength(const Item& item) const {
    double latest = 0;  // a reference that keeps powers within range
    for (const auto& [_, ms] : item.gains) latest = std::max(latest, halvings(ms));
    double sum = 0;
    for (const auto& [gain, ms] : item.gains) sum += gain * std::exp2(halvings(ms) - latest);
    return std::log(sum) + latest * std::log(2.0);
  }
  double halvings(std::int64_t ms) const {
    if (!decay_.has_time()) return 0;
    return static_cast<double>(ms - start_) / static_cast<double>(decay_.half_life_ms);
  }
  double distance(const Vector& a, const Vector& b, double penalty) const {
    double product = 0;
    double squares[2] = {0, 0};
    double apart = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
      product += double{a[i]} * b[i];
      squares[0] += double{a[i]} * a[i];
      squares[1] += double{b[i]} * b[i];
      apart += (double{a[i]} - b[i]) * (double{a[i]} - b[i]);
    }
    switch (metric_) {
      case Metric::kL2:
        return std::sqrt(apart + 2 * penalty);
      case Metric::kCosine:
        return 1 - product / std::sqrt(squares[0] * squares[1]) + penalty;
      case Metric::kDot:
        return penalty - product;
    }
    return 0;
  }

  const Metric metric_;
  const Decay decay_;
  const std::int64_t start_;
  std::map<std::string, Item> items_;
};

/// One random life of a small index, asked all along.
void check_stream(Rng& rng) {
  constexpr Metric kAll[] = {Metric::kL2, Metric::kCosine, Metric::kDot};
  constexpr std::int64_t kHalfLives[] = {1, 40, 1000, 3'600'000};
  const Metric metric = kAll[rng() % 3];
  const bool has_time = rng() % 4 != 0;
  const Decay decay = {.policy = has_time ? DecayPolicy::kExp : DecayPolicy::kStatic,
                       .half_life_ms = has_time ? kHalfLives[rng() % 4] : 0,
                       .omega = 0.05 * static_cast<double>(1 + rng() % 40)};
  CAPTURE(std::string(metric_name(metric)));
  CAPTURE(decay_text(decay));
  const std::size_t dim = 1 + rng() % 20;
  Fixture fixture(flat(), dim, 1, decay, metric);
  const double beta = metric == Metric::kCosine ? 100 : 1;
  const std::int64_t span = 30 * std::max<std::int64_t>(decay.half_life_ms, 1);
  // Of half-lives below a second, the time since 1970 is so many that a double has few digits left.
  const bool is_recent = decay.half_life_ms >= 1000 && rng() % 2 == 0;
  const std::int64_t start = is_recent ? 1'700'000'000'000 : 0;
  Oracle oracle(metric, decay, start);
  const int steps = 10 + static_cast<int>(rng() % 60);
  for (int step = 0; step < steps; ++step) {
    const std::string key = "k" + std::to_string(rng() % 25);
    const StrengthGain gain = {
        .gain = std::exp2(static_cast<double>(rng() % 100) / 10 - 5),
        .at_ms = start + static_cast<std::int64_t>(rng() % static_cast<std::uint64_t>(span)),
        .adds = rng() % 2 == 0};
    const auto choice = rng() % 10;
    if (choice < 5) {
      const Vector vector = random_vector(rng, dim);
      fixture.start_put(key, vector, gain);
      oracle.put(key, vector, gain);
    } else if (choice < 7) {
      const std::vector<std::string_view> keys = {key};
      fixture.collection->touch(keys, gain);
      oracle.touch(key, gain);
    } else if (choice < 8) {
      fixture.start_erase(key);
      oracle.erase(key);
    } else {
      fixture.finish();
      const Vector query = random_vector(rng, dim);
      const std::size_t k = 1 + rng() % 12;
      const auto truth = oracle.rank(query, beta);
      const auto found = fixture.search(query, k);
      REQUIRE(found.size() == std::min(k, truth.size()));
      std::map<std::string, double> distances;
      for (const auto& [distance, name] : truth) distances[name] = distance;
      for (std::size_t i = 0; i < found.size(); ++i) {
        const double close = 5e-5 * (1 + std::abs(truth[i].first));
        CHECK(std::abs(double{found[i].second} - truth[i].first) <= close);
        CHECK(std::abs(double{found[i].second} - distances.at(found[i].first)) <= close);
      }
    }
  }
  fixture.finish();
}

TEST_CASE("engine/strengths: flat ranks as float64 does, over random streams") {
  auto rng = test::make_rng(92);
  for (int stream = 0; stream < 100; ++stream) {
    CAPTURE(stream);
    check_stream(rng);
  }
}

TEST_CASE("engine/strengths: flat ranks as float64 does, over a thousand random streams" *
          doctest::test_suite("long")) {
  auto rng = test::make_rng(93);
  for (int stream = 0; stream < 1000; ++stream) {
    CAPTURE(stream);
    check_stream(rng);
  }
}

TEST_CASE("engine/strengths: reads do not depend on when they come") {
  auto rng = test::make_rng(94);
  Fixture fixture(flat(), 4, 1, kSecond);
  for (int i = 0; i < 30; ++i) {
    fixture.put("k" + std::to_string(i), random_vector(rng, 4));
    fixture.collection->touch(std::vector<std::string_view>{"k" + std::to_string(i)},
                              {.at_ms = 100 * i});
  }
  const Vector query = random_vector(rng, 4);
  const auto before = fixture.search(query, 30);
  // A later write that touches nothing moves the clock.
  fixture.collection->touch(std::vector<std::string_view>{"none"}, {.at_ms = 1'000'000});
  CHECK(fixture.search(query, 30) == before);
}

TEST_CASE("engine/strengths: touches go on beside searches, puts and erases") {
  for (const Primitive* const primitive : primitives()) {
    if (!primitive->traits.takes_bias) continue;
    CAPTURE(std::string(primitive->name));
    auto rng = test::make_rng(95);
    Fixture fixture(*primitive, 8, 3, kSecond);
    std::vector<std::string> keys;
    for (int i = 0; i < 300; ++i) keys.push_back("k" + std::to_string(i));
    for (const std::string& key : keys) fixture.start_put(key, random_vector(rng, 8));
    fixture.finish();
    std::vector<std::vector<std::pair<std::string, float>>> found(200);
    for (auto& each : found) {
      const std::string& key = keys[rng() % keys.size()];
      fixture.start_search(random_vector(rng, 8), 10, &each);
      const StrengthGain gain = {.at_ms = static_cast<std::int64_t>(rng() % 30'000)};
      fixture.collection->touch(std::vector<std::string_view>{key}, gain);
      if (rng() % 3 == 0) fixture.start_put(key, random_vector(rng, 8), gain);
      if (rng() % 9 == 0) fixture.start_erase(key);
      if (rng() % 5 == 0) fixture.start_put(key, random_vector(rng, 8), gain);
    }
    fixture.finish();
    for (const auto& each : found) {
      CHECK(each.size() == 10);
      std::set<std::string> distinct;
      for (const auto& [key, distance] : each) distinct.insert(key);
      CHECK(distinct.size() == each.size());
    }
  }
}

}  // namespace
}  // namespace engram::strength_test
