// SPDX-License-Identifier: Apache-2.0
// Strengths beside plain sums in float64, under every policy: searches rank by them, exactly, and
// relative to the strongest.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "server/engine/strengths.h"
#include "tests/server/collection_fixture.h"
#include "tests/support/rows.h"
#include "tests/support/seed.h"

namespace engram::strength_ranking_test {
namespace {

using test::Vector;
using Fixture = test::CollectionFixture;
using Rng = std::mt19937_64;

constexpr Decay kSecond = {.policy = DecayPolicy::kExp, .half_life_ms = 1000};

const Primitive& flat() {
  return **find_primitive("flat");
}

/// All that was ever given to an item, and the plainest way to rank by it.
struct Item {
  Vector vector;
  std::vector<std::pair<double, std::int64_t>> gains = {};
  double half_life_ms = 0;  // 0: that of the index
  bool is_pinned = false;
};

class Oracle {
 public:
  /// start: a time from which others are counted, so that it costs no digits.
  Oracle(Metric metric, const Decay& decay, std::int64_t start)
      : metric_(metric), decay_(decay), start_(start) {}

  void put(const std::string& key, const Vector& vector, const StrengthGain& gain) {
    Item& item = items_[key];
    item.vector = vector;
    const bool begins = !gain.adds || item.gains.empty();
    if (begins) item = {.vector = vector};
    if (!begins && !gain.rule.says_nothing() && decay_.policy != DecayPolicy::kEbb) {
      item.gains = {{std::exp(log_strength(item, *gain.at_ms)), *gain.at_ms}};
      item.is_pinned = false;
    }
    item.gains.emplace_back(gain.gain, *gain.at_ms);
    if (gain.rule.pins) item.is_pinned = true;
    if (gain.rule.half_life_ms) item.half_life_ms = static_cast<double>(*gain.rule.half_life_ms);
  }
  void touch(const std::string& key, const StrengthGain& gain) {
    const auto found = items_.find(key);
    if (found != items_.end()) found->second.gains.emplace_back(gain.gain, *gain.at_ms);
  }
  void erase(const std::string& key) { items_.erase(key); }

  /// The effective distance of every item by the float64 of a textbook, least first.
  std::vector<std::pair<double, std::string>> rank(const Vector& query, double beta,
                                                   std::int64_t ms) const {
    double greatest = -std::numeric_limits<double>::infinity();
    for (const auto& [_, item] : items_) greatest = std::max(greatest, log_strength(item, ms));
    std::vector<std::pair<double, std::string>> ranked;
    for (const auto& [key, item] : items_) {
      const double penalty = decay_.omega * (greatest - log_strength(item, ms)) / beta;
      ranked.emplace_back(distance(query, item.vector, penalty), key);
    }
    std::sort(ranked.begin(), ranked.end());
    return ranked;
  }

 private:
  double log_strength(const Item& item, std::int64_t ms) const {
    if (item.is_pinned) return decay_.policy == DecayPolicy::kEbb ? 0 : std::log(total(item));
    switch (decay_.policy) {
      case DecayPolicy::kExp:
        return log_of_halved(item, ms);
      case DecayPolicy::kPower:
        return log_of_uses(item, ms);
      case DecayPolicy::kEbb: {
        std::int64_t latest = 0;
        for (const auto& [_, at_ms] : item.gains) latest = std::max(latest, at_ms);
        const auto age = static_cast<double>(std::max<std::int64_t>(ms - latest, 0));
        return -age / (total(item) * static_cast<double>(decay_.stability_ms));
      }
      default:
        return std::log(total(item));
    }
  }
  static double total(const Item& item) {
    double sum = 0;
    for (const auto& [gain, _] : item.gains) sum += gain;
    return sum;
  }
  double log_of_halved(const Item& item, std::int64_t ms) const {
    const double half_life =
        item.half_life_ms > 0 ? item.half_life_ms : static_cast<double>(decay_.half_life_ms);
    const auto halvings = [&](std::int64_t at_ms) {
      return static_cast<double>(at_ms - start_) / half_life;
    };
    double latest = halvings(item.gains[0].second);  // a reference that keeps powers within range
    for (const auto& [_, at_ms] : item.gains) latest = std::max(latest, halvings(at_ms));
    double sum = 0;
    for (const auto& [gain, at_ms] : item.gains) sum += gain * std::exp2(halvings(at_ms) - latest);
    return std::log(sum) + (latest - halvings(ms)) * std::log(2.0);
  }
  /// The eight latest times, and the rest spread evenly before them.
  double log_of_uses(const Item& item, std::int64_t ms) const {
    std::map<std::int64_t, double, std::greater<>> at;
    for (const auto& [gain, at_ms] : item.gains) at[at_ms] += gain;
    const auto age = [&](std::int64_t at_ms) {
      return std::max(1.0, static_cast<double>(ms - at_ms) / 1000);
    };
    const double d = decay_.exponent;
    double sum = 0;
    double others = 0;
    double younger = 0;
    std::size_t count = 0;
    for (const auto& [at_ms, gain] : at) {
      if (count++ >= 8) {
        others += gain;
        continue;
      }
      sum += gain * std::pow(age(at_ms), -d);
      younger = age(at_ms);
    }
    const double older = age(at.rbegin()->first);
    if (others > 0 && older <= younger) sum += others * std::pow(younger, -d);
    if (others > 0 && older > younger) {
      const double integral = d == 1
                                  ? std::log(older / younger)
                                  : (std::pow(older, 1 - d) - std::pow(younger, 1 - d)) / (1 - d);
      sum += others * integral / (older - younger);
    }
    return std::log(sum);
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

/// Any policy; half of the exponential ones are for items with rules of their own.
Decay random_decay(Rng& rng) {
  constexpr std::int64_t kTimes[] = {1, 40, 1000, 3'600'000};
  constexpr double kExponents[] = {0.3, 0.5, 1, 2};
  Decay decay = {.omega = 0.05 * static_cast<double>(1 + rng() % 40)};
  switch (rng() % 4) {
    case 0:
      decay.policy = DecayPolicy::kStatic;
      break;
    case 1:
      decay.policy = DecayPolicy::kExp;
      decay.half_life_ms = kTimes[rng() % 4];
      break;
    case 2:
      decay.policy = DecayPolicy::kPower;
      decay.exponent = kExponents[rng() % 4];
      break;
    default:
      decay.policy = DecayPolicy::kEbb;
      decay.stability_ms = kTimes[rng() % 4];
      break;
  }
  return decay;
}

FadeRule random_rule(Rng& rng, const Decay& decay) {
  constexpr std::int64_t kTimes[] = {25, 1000, 70'000};
  if (decay.policy != DecayPolicy::kExp || rng() % 2 == 0) return {.pins = true};
  return {.half_life_ms = std::max(decay.half_life_ms / 3, kTimes[rng() % 3])};
}

/// One random life of a small index, asked all along.
void check_stream(Rng& rng) {
  constexpr Metric kAll[] = {Metric::kL2, Metric::kCosine, Metric::kDot};
  const Metric metric = kAll[rng() % 3];
  const Decay decay = random_decay(rng);
  const bool has_rules = rng() % 2 == 0;
  CAPTURE(std::string(metric_name(metric)));
  CAPTURE(decay_text(decay));
  const std::size_t dim = 1 + rng() % 20;
  Fixture fixture(flat(), dim, 1, decay, metric);
  const double beta = metric == Metric::kCosine ? 100 : 1;
  const std::int64_t unit = std::max({decay.half_life_ms, decay.stability_ms, std::int64_t{1000}});
  const std::int64_t span = 30 * (decay.half_life_ms == 0 ? unit : decay.half_life_ms);
  const std::size_t key_count = 2 + rng() % 24;
  // Of half-lives below a second, the time since 1970 is so many that a double has few digits left.
  const bool is_recent = (decay.half_life_ms == 0 || decay.half_life_ms >= 1000) && rng() % 2 == 0;
  const std::int64_t start = is_recent ? 1'700'000'000'000 : 0;
  Oracle oracle(metric, decay, start);
  const int steps = 10 + static_cast<int>(rng() % 60);
  for (int step = 0; step < steps; ++step) {
    const std::string key = "k" + std::to_string(rng() % key_count);
    const auto ms = [&](std::int64_t from, std::int64_t to) {
      return start + from +
             static_cast<std::int64_t>(rng() % static_cast<std::uint64_t>(to - from));
    };
    const StrengthGain gain = {
        .gain = std::exp2(static_cast<double>(rng() % 100) / 10 - 5),
        .at_ms = ms(0, span),
        .adds = rng() % 2 == 0,
        .rule = has_rules && rng() % 3 == 0 ? random_rule(rng, decay) : FadeRule{}};
    const auto choice = rng() % 10;
    if (choice < 5) {
      const Vector vector = test::random_vector(dim, rng);
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
      const Vector query = test::random_vector(dim, rng);
      const std::size_t k = 1 + rng() % 12;
      const std::int64_t at_ms = ms(0, 2 * span);
      const auto truth = oracle.rank(query, beta, at_ms);
      const auto found = fixture.search(query, k, at_ms);
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

constexpr Decay kAllDecays[] = {kSecond,
                                {.policy = DecayPolicy::kStatic},
                                {.policy = DecayPolicy::kPower, .exponent = 0.5},
                                {.policy = DecayPolicy::kPower, .exponent = 1},
                                {.policy = DecayPolicy::kEbb, .stability_ms = 2000}};

TEST_CASE("engine/strengths: the greatest is exact under every policy, as of any time") {
  auto rng = test::make_rng(96);
  for (const Decay& decay : kAllDecays) {
    CAPTURE(decay_text(decay));
    Strengths strengths(decay);
    REQUIRE(strengths.ensure(5000).has_value());
    REQUIRE(strengths.allow_rules().has_value());
    std::map<Slot, Trace> model;
    std::int64_t now = 0;
    for (int step = 0; step < 4000; ++step) {
      const auto slot = static_cast<Slot>(rng() % 5000);
      const auto ms = static_cast<std::int64_t>(rng() % 50'000);
      const double gain = std::exp2(static_cast<double>(rng() % 8));
      if (rng() % 3 == 0) {
        strengths.remove(slot);
        model.erase(slot);
      } else if (model.contains(slot)) {
        add_gain(decay, gain, ms, model[slot]);
        strengths.set(slot, model[slot]);
      } else {
        const bool has_rule = decay.policy == DecayPolicy::kExp && rng() % 2 == 0;
        model[slot] = new_trace(decay, gain, ms, has_rule ? random_rule(rng, decay) : FadeRule{});
        strengths.set(slot, model[slot]);
      }
      if (step % 20 != 0 || model.empty()) continue;
      now += static_cast<std::int64_t>(rng() % 400);
      for (const std::int64_t at_ms : {now, now, now + 1, ms}) {
        double greatest = -std::numeric_limits<double>::infinity();
        double least = 1e300;
        const StrengthBias bias(strengths, at_ms);
        for (const auto& [each, trace] : model) {
          greatest = std::max(greatest, log_strength(decay, trace, at_ms));
          double handicap = -1;
          bias.handicaps({&each, 1}, {&handicap, 1});
          least = std::min(least, handicap);
        }
        CHECK(strengths.greatest(at_ms) == doctest::Approx(greatest).epsilon(1e-13));
        CHECK(least == 0);
      }
    }
  }
}

}  // namespace
}  // namespace engram::strength_ranking_test
