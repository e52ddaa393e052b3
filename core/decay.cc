// SPDX-License-Identifier: Apache-2.0
#include "core/decay.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numbers>
#include <optional>
#include <vector>

#include "core/text.h"

namespace engram {
namespace {

constexpr std::string_view kPolicyNames[] = {"none", "static", "exp", "power", "ebb"};
constexpr std::string_view kClockNames[] = {"wall", "logical"};
constexpr std::string_view kReinforceNames[] = {"off", "winner", "soft", "compete"};
constexpr double kLeastOmega = 1e-6;
constexpr double kMostOmega = 1e6;
constexpr double kLeastExponent = 1e-3;
constexpr double kMostExponent = 10;

tl::unexpected<Error> refused(std::string_view what, std::string_view expected,
                              std::string_view got) {
  return fail(ErrorCode::kInvalidArgument, std::string(what) + " must be " + std::string(expected) +
                                               ", got '" + std::string(got.substr(0, 64)) + "'");
}

/// The value of the enumeration whose names these are, in its order.
template <class Enum, std::size_t kSize>
std::optional<Enum> named(const std::string_view (&names)[kSize], std::string_view name) {
  const auto found = std::find_if(std::begin(names), std::end(names), [&](std::string_view known) {
    return equal_ignoring_case(known, name);
  });
  if (found == std::end(names)) return std::nullopt;
  return static_cast<Enum>(found - std::begin(names));
}

std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> words;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    words.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return words;
}

/// The one behind the policy.
Status read_number(std::string_view text, Decay& decay) {
  if (decay.policy == DecayPolicy::kPower) {
    const auto exponent = read_exponent(text);
    if (!exponent) return tl::unexpected(exponent.error());
    decay.exponent = *exponent;
    return {};
  }
  const bool is_exp = decay.policy == DecayPolicy::kExp;
  const auto ms =
      read_half_life(is_exp ? "the half-life of DECAY exp" : "the stability of DECAY ebb", text);
  if (!ms) return tl::unexpected(ms.error());
  (is_exp ? decay.half_life_ms : decay.stability_ms) = *ms;
  return {};
}

bool is_upkeep(std::string_view word) {
  return equal_ignoring_case(word, "budget") || equal_ignoring_case(word, "budgetbytes") ||
         equal_ignoring_case(word, "every");
}

void set_number(Upkeep& upkeep, std::string_view word, std::int64_t number) {
  if (equal_ignoring_case(word, "budget")) {
    upkeep.budget = static_cast<std::size_t>(number);
  } else if (equal_ignoring_case(word, "budgetbytes")) {
    upkeep.budget_bytes = static_cast<std::size_t>(number);
  } else {
    upkeep.every_ms = number;
  }
}

}  // namespace

double Decay::log_gain(double gain, std::int64_t ms) const noexcept {
  const double aged =
      policy == DecayPolicy::kExp
          ? std::numbers::ln2 * (static_cast<double>(ms) / static_cast<double>(half_life_ms))
          : 0;
  return std::log(gain) + aged;
}

double add_logs(double a, double b) noexcept {
  const auto [less, more] = std::minmax(a, b);
  return more + std::log1p(std::exp(less - more));
}

std::string_view decay_name(DecayPolicy policy) noexcept {
  return kPolicyNames[static_cast<std::size_t>(policy)];
}

std::string_view clock_name(DecayClock clock) noexcept {
  return kClockNames[static_cast<std::size_t>(clock)];
}

std::string_view reinforce_name(Reinforce rule) noexcept {
  return kReinforceNames[static_cast<std::size_t>(rule)];
}

Result<DecayPolicy> read_decay_policy(std::string_view name) {
  if (const auto policy = named<DecayPolicy>(kPolicyNames, name)) return *policy;
  return refused("DECAY",
                 "none, static, exp and a half-life, power and an exponent, or ebb and a stability",
                 name);
}

Result<std::int64_t> read_half_life(std::string_view what, std::string_view text) {
  const auto ms = parse_number<std::int64_t>(text);
  if (ms && *ms >= 1 && *ms <= kMaxDecayMs) return *ms;
  return refused(what, "an integer of milliseconds in 1.." + std::to_string(kMaxDecayMs), text);
}

Result<double> read_exponent(std::string_view text) {
  const auto exponent = parse_number<double>(text);
  if (exponent && *exponent >= kLeastExponent && *exponent <= kMostExponent) return *exponent;
  return refused("the exponent of DECAY power", "a number in 0.001..10", text);
}

Result<double> read_omega(std::string_view text) {
  const auto omega = parse_number<double>(text);
  if (omega && *omega >= kLeastOmega && *omega <= kMostOmega) return *omega;
  return refused("OMEGA", "a number in 1e-06..1000000", text);
}

Result<DecayClock> read_clock(std::string_view name) {
  if (const auto clock = named<DecayClock>(kClockNames, name)) return *clock;
  return refused("CLOCK", "wall or logical", name);
}

Result<Reinforce> read_reinforce(std::string_view name) {
  if (const auto rule = named<Reinforce>(kReinforceNames, name)) return *rule;
  return refused("REINFORCE", "off, winner, soft or compete", name);
}

Result<double> read_floor(std::string_view text) {
  const auto floor = parse_number<double>(text);
  if (floor && *floor > 0 && std::isfinite(*floor)) return *floor;
  return refused("FLOOR", "a number above 0", text);
}

Result<double> read_merge_radius(std::string_view text) {
  const auto radius = parse_number<double>(text);
  if (radius && *radius >= 0 && std::isfinite(*radius)) return *radius;
  return refused("MERGE", "a radius, 0 or more", text);
}

Result<std::int64_t> read_upkeep_number(std::string_view what, std::string_view text) {
  const auto number = parse_number<std::int64_t>(text);
  if (number && *number >= 1 && *number <= kMaxDecayMs) return *number;
  return refused(what, "an integer in 1.." + std::to_string(kMaxDecayMs), text);
}

std::string decay_text(const Decay& decay) {
  std::string text(decay_name(decay.policy));
  switch (decay.policy) {
    case DecayPolicy::kNone:
    case DecayPolicy::kStatic:
      break;
    case DecayPolicy::kExp:
      text += " " + std::to_string(decay.half_life_ms);
      break;
    case DecayPolicy::kPower:
      text += " " + number_text(decay.exponent);
      break;
    case DecayPolicy::kEbb:
      text += " " + std::to_string(decay.stability_ms);
      break;
  }
  if (decay.is_on()) text += " omega " + number_text(decay.omega);
  if (decay.has_time()) text += " clock " + std::string(clock_name(decay.clock));
  if (decay.reinforce != Reinforce::kOff) {
    text += " reinforce " + std::string(reinforce_name(decay.reinforce));
  }
  const Upkeep& upkeep = decay.upkeep;
  if (upkeep.merge_radius) text += " merge " + number_text(*upkeep.merge_radius);
  if (upkeep.floor > 0) text += " floor " + number_text(upkeep.floor);
  if (upkeep.budget > 0) text += " budget " + std::to_string(upkeep.budget);
  if (upkeep.budget_bytes > 0) {
    text += " budgetbytes " + std::to_string(upkeep.budget_bytes);
  }
  if (upkeep.is_on()) text += " every " + std::to_string(upkeep.every_ms);
  return text;
}

Result<Decay> decay_from_text(std::string_view text) {
  const auto words = words_of(text);
  const auto word = [&](std::size_t i) { return i < words.size() ? words[i] : std::string_view(); };
  const auto policy = read_decay_policy(word(0));
  if (!policy) return tl::unexpected(policy.error());
  Decay decay{.policy = *policy};
  if (decay.has_time()) ENGRAM_TRY(read_number(word(1), decay));
  std::size_t next = decay.has_time() ? 2 : 1;
  for (; next < words.size(); next += 2) {
    if (equal_ignoring_case(words[next], "omega")) {
      const auto omega = read_omega(word(next + 1));
      if (!omega) return tl::unexpected(omega.error());
      decay.omega = *omega;
    } else if (equal_ignoring_case(words[next], "clock")) {
      const auto clock = read_clock(word(next + 1));
      if (!clock) return tl::unexpected(clock.error());
      decay.clock = *clock;
    } else if (equal_ignoring_case(words[next], "reinforce")) {
      const auto rule = read_reinforce(word(next + 1));
      if (!rule) return tl::unexpected(rule.error());
      decay.reinforce = *rule;
    } else if (equal_ignoring_case(words[next], "merge")) {
      const auto radius = read_merge_radius(word(next + 1));
      if (!radius) return tl::unexpected(radius.error());
      decay.upkeep.merge_radius = *radius;
    } else if (equal_ignoring_case(words[next], "floor")) {
      const auto floor = read_floor(word(next + 1));
      if (!floor) return tl::unexpected(floor.error());
      decay.upkeep.floor = *floor;
    } else if (is_upkeep(words[next])) {
      const auto number = read_upkeep_number(to_upper(words[next]), word(next + 1));
      if (!number) return tl::unexpected(number.error());
      set_number(decay.upkeep, words[next], *number);
    } else {
      return refused("what follows the policy of a DECAY",
                     "omega, clock, reinforce, merge, floor, budget, budgetbytes or every",
                     words[next]);
    }
  }
  return decay;
}

}  // namespace engram
