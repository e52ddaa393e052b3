// SPDX-License-Identifier: Apache-2.0
#include "core/trace_sum.h"

#include <doctest/doctest.h>

#include <cmath>
#include <random>

#include "tests/support/seed.h"

namespace engram::test::trace_sum_test {
namespace {

constexpr Decay kStatic = {.policy = DecayPolicy::kStatic};
constexpr Decay kExp = {.policy = DecayPolicy::kExp, .half_life_ms = 1000};
constexpr Decay kPower = {.policy = DecayPolicy::kPower, .exponent = 0.7};
constexpr Decay kEbb = {.policy = DecayPolicy::kEbb, .stability_ms = 5000};

TEST_CASE("core/trace_sum: what one is given that two were given is as strong as both") {
  auto rng = make_rng(130);
  for (const Decay& decay : {kStatic, kExp, kPower}) {
    for (int round = 0; round < 50; ++round) {
      const auto random_gain = [&] { return 1 + static_cast<double>(rng() % 90) / 7; };
      const auto random_ms = [&] { return static_cast<std::int64_t>(rng() % 20'000); };
      Trace first = new_trace(decay, random_gain(), random_ms());
      Trace second = new_trace(decay, random_gain(), random_ms());
      for (int use = 0; use < 3; ++use) {
        add_gain(decay, random_gain(), random_ms(), first);
        add_gain(decay, random_gain(), random_ms(), second);
      }
      Trace sum = first;
      absorb(decay, second, 30'000, sum);
      for (const std::int64_t ms : {30'000, 99'000}) {
        CHECK(std::exp(log_strength(decay, sum, ms)) ==
              doctest::Approx(std::exp(log_strength(decay, first, ms)) +
                              std::exp(log_strength(decay, second, ms))));
      }
      CHECK(check_trace(decay, sum).has_value());
    }
  }
}

TEST_CASE("core/trace_sum: what is longest kept decides how the sum fades") {
  const Trace all = new_trace(kExp, 2, 0);
  const Trace own = new_trace(kExp, 3, 0, {.half_life_ms = 9000});
  const Trace pinned = new_trace(kExp, 4, 0, {.pins = true});
  Trace sum = all;
  absorb(kExp, own, 1000, sum);
  CHECK(sum.kind == TraceKind::kOwnHalfLife);
  CHECK(sum.half_life_ms == 9000);
  CHECK(std::exp(log_strength(kExp, sum, 1000)) ==
        doctest::Approx(1 + std::exp(log_strength(kExp, own, 1000))));
  absorb(kExp, pinned, 1000, sum);
  CHECK(sum.is_pinned());
  CHECK(log_strength(kExp, sum, 1000) == log_strength(kExp, sum, 99'000));
  CHECK(check_trace(kExp, sum).has_value());
}

TEST_CASE("core/trace_sum: stabilities are added up, from the latest use on") {
  Trace sum = new_trace(kEbb, 1, 7000);
  absorb(kEbb, new_trace(kEbb, 2, 9000), 9000, sum);
  CHECK(log_strength(kEbb, sum, 9000 + 15'000) == doctest::Approx(-1));
  absorb(kEbb, new_trace(kEbb, 1, 0, {.pins = true}), 9000, sum);
  CHECK(sum.is_pinned());
  CHECK(check_trace(kEbb, sum).has_value());
}

}  // namespace
}  // namespace engram::test::trace_sum_test
