// SPDX-License-Identifier: Apache-2.0
#include "core/decay.h"

#include "core/trace.h"

#include <doctest/doctest.h>

#include <cmath>
#include <random>
#include <string>

#include "tests/support/seed.h"

namespace engram::test::decay_test {
namespace {

constexpr Decay kHour = {.policy = DecayPolicy::kExp, .half_life_ms = 3'600'000};

double strength(const Decay& decay, double level, std::int64_t ms) {
  return std::exp(log_strength(decay, Trace{.amount = level}, ms));
}

TEST_CASE("core/decay: a gain halves with each half-life, and gains add up") {
  const std::int64_t now = 1'700'000'000'000;
  CHECK(strength(kHour, kHour.log_gain(3, now), now) == doctest::Approx(3).epsilon(1e-9));
  CHECK(strength(kHour, kHour.log_gain(3, now), now + 7'200'000) ==
        doctest::Approx(0.75).epsilon(1e-9));
  const double both = add_logs(kHour.log_gain(1, now - 3'600'000), kHour.log_gain(2, now));
  CHECK(strength(kHour, both, now) == doctest::Approx(2.5).epsilon(1e-9));
}

TEST_CASE("core/decay: gains commute, whatever their times") {
  auto rng = make_rng(81);
  std::uniform_real_distribution<double> gain(0.01, 10);
  for (int round = 0; round < 200; ++round) {
    const auto time = [&] { return static_cast<std::int64_t>(rng() % 100'000'000'000); };
    const double a = kHour.log_gain(gain(rng), time());
    const double b = kHour.log_gain(gain(rng), time());
    const double c = kHour.log_gain(gain(rng), time());
    CHECK(add_logs(add_logs(a, b), c) ==
          doctest::Approx(add_logs(add_logs(c, a), b)).epsilon(1e-13));
    CHECK(add_logs(a, b) == add_logs(b, a));
  }
}

TEST_CASE("core/decay: without time a strength is the sum of its gains") {
  const Decay decay = {.policy = DecayPolicy::kStatic};
  const double sum = add_logs(decay.log_gain(2, 0), decay.log_gain(3, 999));
  CHECK(strength(decay, sum, 123'456) == doctest::Approx(5));
}

TEST_CASE("core/decay: text reads back as what it was made of") {
  for (const Decay& decay : {Decay{}, Decay{.policy = DecayPolicy::kStatic, .omega = 0.1},
                             Decay{.policy = DecayPolicy::kExp, .half_life_ms = 1},
                             Decay{.policy = DecayPolicy::kPower, .exponent = 0.5},
                             Decay{.policy = DecayPolicy::kEbb, .stability_ms = 90},
                             Decay{.policy = DecayPolicy::kExp,
                             .half_life_ms = kMaxDecayMs,
                             .omega = 1e-6,
                             .clock = DecayClock::kLogical}}) {
    const auto read = decay_from_text(decay_text(decay));
    REQUIRE(read.has_value());
    CHECK(*read == decay);
  }
  CHECK(decay_text(kHour) == "exp 3600000 omega 1 clock wall");
  CHECK(decay_text({.policy = DecayPolicy::kPower, .exponent = 0.5}) ==
        "power 0.5 omega 1 clock wall");
}

TEST_CASE("core/decay: anything else is refused") {
  for (const char* const text : {"",
                                 "ebbs",
                                 "ebb",
                                 "ebb 0",
                                 "ebb 1.5",
                                 "power",
                                 "power 0",
                                 "power -1",
                                 "power 11",
                                 "power nan",
                                 "power 1e-4",
                                 "exp",
                                 "exp 0",
                                 "exp -1",
                                 "exp 1.5",
                                 "exp 9007199254740992",
                                 "static omega",
                                 "static omega 0",
                                 "static omega nan",
                                 "static omega 1e7",
                                 "exp 5 clock",
                                 "exp 5 clock sun",
                                 "exp 5 6",
                                 "static 5"}) {
    CAPTURE(std::string(text));
    const auto read = decay_from_text(text);
    REQUIRE_FALSE(read.has_value());
    CHECK(read.error().code == ErrorCode::kInvalidArgument);
  }
}

TEST_CASE("core/decay: what an index does by itself is part of its text, where it does anything") {
  const Decay decay = {
      .policy = DecayPolicy::kExp,
      .half_life_ms = 5,
      .reinforce = Reinforce::kCompete,
      .upkeep = {
          .merge_radius = 0.5, .floor = 0.25, .budget = 7, .budget_bytes = 9, .every_ms = 3}};
  CHECK(decay_text(decay) ==
        "exp 5 omega 1 clock wall reinforce compete merge 0.5 floor 0.25 budget 7 budgetbytes 9 "
        "every 3");
  CHECK(decay_from_text(decay_text(decay)).value() == decay);
  CHECK(decay_text({.policy = DecayPolicy::kStatic}) == "static omega 1");
  for (const std::string_view wrong : {"static floor -1", "static floor inf", "static budget 0",
                                       "static every x", "static reinforce", "static ceiling 1"}) {
    CHECK_FALSE(decay_from_text(wrong).has_value());
  }
}

}  // namespace
}  // namespace engram::test::decay_test
