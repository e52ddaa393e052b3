// SPDX-License-Identifier: Apache-2.0
#include "core/trace.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "tests/support/seed.h"

namespace engram::test::trace_test {
namespace {

using Rng = std::mt19937_64;

constexpr Decay kStatic = {.policy = DecayPolicy::kStatic};
constexpr Decay kExp = {.policy = DecayPolicy::kExp, .half_life_ms = 60'000};
constexpr Decay kRoot = {.policy = DecayPolicy::kPower, .exponent = 0.5};
constexpr Decay kInverse = {.policy = DecayPolicy::kPower, .exponent = 1};
constexpr Decay kSteep = {.policy = DecayPolicy::kPower, .exponent = 1.7};
constexpr Decay kEbb = {.policy = DecayPolicy::kEbb, .stability_ms = 60'000};
constexpr const Decay* kAll[] = {&kStatic, &kExp, &kRoot, &kInverse, &kSteep, &kEbb};

struct Gain {
  double gain;
  std::int64_t ms;
};

std::vector<Gain> random_gains(Rng& rng, std::size_t most, std::int64_t span_ms) {
  std::vector<Gain> gains(1 + rng() % most);
  for (Gain& each : gains) {
    each.gain = std::exp2(static_cast<double>(rng() % 60) / 10 - 3);
    each.ms = static_cast<std::int64_t>(rng() % static_cast<std::uint64_t>(span_ms));
  }
  return gains;
}

Trace trace_of(const Decay& decay, const std::vector<Gain>& gains, const FadeRule& rule = {}) {
  Trace trace = new_trace(decay, gains[0].gain, gains[0].ms, rule);
  for (std::size_t i = 1; i < gains.size(); ++i) {
    add_gain(decay, gains[i].gain, gains[i].ms, trace);
  }
  return trace;
}

/// The sums of trace.h, in the plainest way.
double oracle(const Decay& decay, const std::vector<Gain>& gains, std::int64_t ms,
              double half_life_ms = 0) {
  double sum = 0;
  double stability = 0;
  std::int64_t latest = 0;
  if (half_life_ms == 0) half_life_ms = static_cast<double>(decay.half_life_ms);
  for (const Gain& each : gains) {
    const auto age = static_cast<double>(ms - each.ms);
    if (decay.policy == DecayPolicy::kStatic) sum += each.gain;
    if (decay.policy == DecayPolicy::kExp) sum += each.gain * std::exp2(-age / half_life_ms);
    if (decay.policy == DecayPolicy::kPower) {
      sum += each.gain * std::pow(std::max(1.0, age / 1000), -decay.exponent);
    }
    stability += each.gain * static_cast<double>(decay.stability_ms);
    latest = std::max(latest, each.ms);
  }
  if (decay.policy != DecayPolicy::kEbb) return std::log(sum);
  return -static_cast<double>(std::max<std::int64_t>(0, ms - latest)) / stability;
}

TEST_CASE("core/trace: few gains are summed exactly under every policy, in any order") {
  Rng rng = make_rng(101);
  for (int round = 0; round < 300; ++round) {
    for (const Decay* const decay : kAll) {
      CAPTURE(decay_text(*decay));
      std::vector<Gain> gains = random_gains(rng, Trace::kRecent, 500'000);
      const auto ms = static_cast<std::int64_t>(rng() % 1'000'000);
      const double expected = oracle(*decay, gains, ms);
      CHECK(log_strength(*decay, trace_of(*decay, gains), ms) ==
            doctest::Approx(expected).epsilon(1e-11));
      std::shuffle(gains.begin(), gains.end(), rng);
      CHECK(log_strength(*decay, trace_of(*decay, gains), ms) ==
            doctest::Approx(expected).epsilon(1e-11));
      const Trace trace = trace_of(*decay, gains);
      CHECK(log_strength(*decay, trace, ms) <= log_strength_ceiling(*decay, trace, ms));
    }
  }
}

TEST_CASE("core/trace: under power, many uses are told to .02 nats, seldom worse than .1") {
  Rng rng = make_rng(102);
  double sum = 0;
  double most = 0;
  int beyond = 0;
  constexpr int kRounds = 500;
  for (int round = 0; round < kRounds; ++round) {
    std::vector<Gain> gains(1 + rng() % 200);
    const auto span = static_cast<std::uint64_t>(100'000) << (rng() % 14);
    for (Gain& each : gains) each = {1, static_cast<std::int64_t>(rng() % span)};
    const Trace trace = trace_of(kRoot, gains);
    const auto ms = static_cast<std::int64_t>(span + rng() % span);
    const double error = std::abs(log_strength(kRoot, trace, ms) - oracle(kRoot, gains, ms));
    sum += error;
    most = std::max(most, error);
    if (error > 0.1) ++beyond;
  }
  MESSAGE("mean " << sum / kRounds << ", most " << most);
  CHECK(sum / kRounds <= 0.02);
  // Uses that come in bursts, one in some ten thousand here, are told less well.
  CHECK(beyond <= 2);
  CHECK(most <= 0.2);
}

TEST_CASE("core/trace: under power, the order of many uses makes no difference") {
  Rng rng = make_rng(103);
  for (int round = 0; round < 100; ++round) {
    std::vector<Gain> gains = random_gains(rng, 60, 100'000);
    const Trace one = trace_of(kRoot, gains);
    std::shuffle(gains.begin(), gains.end(), rng);
    const Trace other = trace_of(kRoot, gains);
    CHECK(one.ms == other.ms);
    CHECK(one.amount == doctest::Approx(other.amount));
    REQUIRE(one.recent_count == other.recent_count);
    for (std::size_t i = 0; i < one.recent_count; ++i) {
      CHECK(one.recent[i].ms == other.recent[i].ms);
      CHECK(one.recent[i].gain == doctest::Approx(other.recent[i].gain));
    }
    CHECK(check_trace(kRoot, one).has_value());
  }
}

TEST_CASE("core/trace: exponents next to 1 are as 1") {
  Rng rng = make_rng(104);
  for (int round = 0; round < 50; ++round) {
    const std::vector<Gain> gains = random_gains(rng, 60, 10'000'000);
    for (const double off : {-1e-9, 1e-9, -1e-13, 1e-13}) {
      const Decay near = {.policy = DecayPolicy::kPower, .exponent = 1 + off};
      CHECK(log_strength(near, trace_of(near, gains), 20'000'000) ==
            doctest::Approx(log_strength(kInverse, trace_of(kInverse, gains), 20'000'000))
                .epsilon(1e-6));
    }
  }
}

TEST_CASE("core/trace: a half-life of its own, and none") {
  Rng rng = make_rng(105);
  for (int round = 0; round < 200; ++round) {
    const std::vector<Gain> gains = random_gains(rng, 20, 500'000);
    const auto ms = static_cast<std::int64_t>(rng() % 1'000'000);
    const Trace own = trace_of(kExp, gains, {.half_life_ms = 7000});
    CHECK(own.kind == TraceKind::kOwnHalfLife);
    CHECK(log_strength(kExp, own, ms) ==
          doctest::Approx(oracle(kExp, gains, ms, 7000)).epsilon(1e-11));
    // The index's own is no other.
    CHECK(trace_of(kExp, gains, {.half_life_ms = 60'000}) == trace_of(kExp, gains));
    for (const Decay* const decay : {&kStatic, &kExp, &kInverse}) {
      const Trace pinned = trace_of(*decay, gains, {.pins = true});
      CHECK(pinned.is_pinned());
      CHECK(log_strength(*decay, pinned, ms) ==
            doctest::Approx(oracle(kStatic, gains, ms)).epsilon(1e-11));
    }
    CHECK(log_strength(kEbb, trace_of(kEbb, gains, {.pins = true}), ms) == 0);
  }
}

TEST_CASE("core/trace: a new rule leaves the strength of that moment") {
  Rng rng = make_rng(106);
  const std::vector<FadeRule> rules = {
      {.half_life_ms = 500}, {.half_life_ms = 60'000}, {.half_life_ms = 1'000'000}, {.pins = true}};
  for (int round = 0; round < 100; ++round) {
    const std::vector<Gain> gains = random_gains(rng, 10, 100'000);
    Trace trace = trace_of(kExp, gains);
    for (int change = 0; change < 4; ++change) {
      const auto ms = static_cast<std::int64_t>(rng() % 100'000);
      const double before = log_strength(kExp, trace, ms);
      change_rule(kExp, rules[rng() % rules.size()], ms, trace);
      CHECK(log_strength(kExp, trace, ms) == doctest::Approx(before).epsilon(1e-9));
      CHECK(check_trace(kExp, trace).has_value());
    }
    Trace uses = trace_of(kRoot, gains);
    const double before = log_strength(kRoot, uses, 50'000);
    change_rule(kRoot, {.pins = true}, 50'000, uses);
    CHECK(log_strength(kRoot, uses, 900'000) == before);
  }
}

TEST_CASE("core/trace: no strength rises with time, and a joint trace is no weaker than either") {
  Rng rng = make_rng(107);
  for (int round = 0; round < 300; ++round) {
    for (const Decay* const decay : kAll) {
      CAPTURE(decay_text(*decay));
      FadeRule rule;
      if (decay->policy == DecayPolicy::kExp && rng() % 2 == 0) rule.half_life_ms = 900;
      if (rng() % 4 == 0) rule = {.pins = true};
      const Trace a = trace_of(*decay, random_gains(rng, 30, 300'000), rule);
      const Trace b = trace_of(*decay, random_gains(rng, 30, 300'000), rule);
      auto ms = static_cast<std::int64_t>(rng() % 400'000);
      Trace both = a;
      REQUIRE(join(*decay, b, ms, both));
      double former[2] = {log_strength(*decay, a, ms), log_strength(*decay, b, ms)};
      for (int step = 0; step < 10; ++step) {
        const double now[2] = {log_strength(*decay, a, ms), log_strength(*decay, b, ms)};
        const double slack = 1e-12 * (1 + std::abs(now[0]) + std::abs(now[1]));
        CHECK(now[0] <= former[0] + slack);
        CHECK(now[1] <= former[1] + slack);
        CHECK(log_strength(*decay, both, ms) >= std::max(now[0], now[1]) - slack);
        former[0] = now[0];
        former[1] = now[1];
        ms += static_cast<std::int64_t>(rng() % 100'000);
      }
    }
  }
  Trace level = new_trace(kExp, 1, 0);
  CHECK_FALSE(join(kExp, new_trace(kExp, 1, 0, {.pins = true}), 0, level));
  Trace own = new_trace(kExp, 1, 0, {.half_life_ms = 5});
  CHECK_FALSE(join(kExp, new_trace(kExp, 1, 0, {.half_life_ms = 6}), 0, own));
}

TEST_CASE("core/trace: what is weakened is so at every time, and stays a trace") {
  auto rng = test::make_rng(88);
  for (const Decay* const decay : kAll) {
    for (int round = 0; round < 20; ++round) {
      const auto gains = random_gains(rng, 30, 100'000);
      Trace trace = trace_of(*decay, gains);
      const Trace before = trace;
      REQUIRE(weaken(0.9, trace) == (decay->policy != DecayPolicy::kEbb));
      CHECK(check_trace(*decay, trace).has_value());
      const double lost = decay->policy == DecayPolicy::kEbb ? 0 : std::log(0.9);
      for (const std::int64_t ms : {100'000, 150'000, 900'000}) {
        CHECK(log_strength(*decay, trace, ms) ==
              doctest::Approx(log_strength(*decay, before, ms) + lost));
      }
    }
    Trace pinned = new_trace(*decay, 2, 1000, {.pins = true});
    const Trace before = pinned;
    CHECK_FALSE(weaken(0.5, pinned));
    CHECK(pinned == before);
  }
  // However often: a gain that became nothing would be none.
  Trace trace = new_trace(kInverse, 1, 0);
  for (int i = 0; i < 100'000; ++i) weaken(0.9, trace);
  CHECK(check_trace(kInverse, trace).has_value());
}

TEST_CASE("core/trace: what no policy gives is refused") {
  const double nan = std::nan("");
  const auto is_refused = [](const Decay& decay, const Trace& trace) {
    const Status checked = check_trace(decay, trace);
    return !checked && checked.error().code == ErrorCode::kDataLoss;
  };
  for (const Decay* const decay : kAll) {
    CAPTURE(decay_text(*decay));
    const Trace right = new_trace(*decay, 2, 5);
    CHECK(check_trace(*decay, right).has_value());
    CHECK(check_trace(*decay, new_trace(*decay, 2, 5, {.pins = true})).has_value());
    Trace wrong = right;
    wrong.amount = nan;
    CHECK(is_refused(*decay, wrong));
    CHECK(is_refused(Decay{}, right));
  }
  CHECK(is_refused(kRoot, new_trace(kExp, 1, 0)));
  CHECK(is_refused(kExp, new_trace(kEbb, 1, 0)));
  CHECK(is_refused(kStatic, new_trace(kExp, 1, 0, {.half_life_ms = 5})));
  CHECK(is_refused(kExp, {.kind = TraceKind::kOwnHalfLife, .half_life_ms = 0}));
  CHECK(is_refused(kExp, {.kind = TraceKind::kOwnHalfLife, .ms = -1, .half_life_ms = 1}));
  CHECK(is_refused(kEbb, {.kind = TraceKind::kStability, .amount = 0}));
  CHECK(is_refused(kEbb, {.kind = TraceKind::kStability, .amount = 1, .ms = kMaxDecayMs + 1}));
  Trace uses = trace_of(kRoot, {{1, 9}, {1, 7}, {2, 5}});
  CHECK(check_trace(kRoot, uses).has_value());
  const auto change = [&](auto&& make_wrong) {
    Trace wrong = uses;
    make_wrong(wrong);
    CHECK(is_refused(kRoot, wrong));
  };
  change([](Trace& trace) { trace.recent_count = 0; });
  change([](Trace& trace) { trace.recent_count = 9; });
  change([](Trace& trace) { trace.amount = 1; });  // beside three uses none is left out
  change([](Trace& trace) { trace.ms = 6; });      // the first is not after the third
  change([](Trace& trace) { trace.recent[1].ms = 9; });
  change([](Trace& trace) { trace.recent[2].gain = -1; });
}

}  // namespace
}  // namespace engram::test::trace_test
