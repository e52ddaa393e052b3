// SPDX-License-Identifier: Apache-2.0
#include "core/trace.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>

namespace engram {
namespace {

/// Gains are 1e-100 to 1e100 each, and many of them may add up.
constexpr double kLeastAmount = 1e-200;
constexpr double kMostAmount = 1e200;

double age_in_seconds(std::int64_t then, std::int64_t ms) noexcept {
  return std::max(1.0, static_cast<double>(ms - then) / 1000);
}

/// age^-exponent; those two exponents are what others use.
double faded(double age, double exponent) noexcept {
  if (exponent == 1) return 1 / age;
  if (exponent == 0.5) return 1 / std::sqrt(age);
  return std::pow(age, -exponent);
}

/// The mean of faded(x) for x between two ages.
double mean_faded(double younger, double older, double exponent) noexcept {
  const double apart = older - younger;
  if (!(apart > 1e-6 * younger)) return faded(younger, exponent);
  const double ratio = std::log(older / younger);
  const double less = 1 - exponent;
  // (older^less - younger^less) / less, also where less is next to 0.
  const double integral =
      less == 0 ? ratio : std::pow(younger, less) * (std::expm1(less * ratio) / less);
  return integral / apart;
}

double log_of_uses(double exponent, const Trace& trace, std::int64_t ms) noexcept {
  double sum = 0;
  for (std::size_t i = 0; i < trace.recent_count; ++i) {
    const Trace::Use& use = trace.recent[i];
    sum += use.gain * faded(age_in_seconds(use.ms, ms), exponent);
  }
  if (trace.amount > 0) {
    const double younger = age_in_seconds(trace.recent[trace.recent_count - 1].ms, ms);
    const double older = age_in_seconds(trace.ms, ms);
    sum += trace.amount * mean_faded(younger, older, exponent);
  }
  return std::log(sum);
}

/// As if all uses were the latest.
double ceiling_of_uses(double exponent, const Trace& trace, std::int64_t ms) noexcept {
  double gains = trace.amount;
  for (std::size_t i = 0; i < trace.recent_count; ++i) gains += trace.recent[i].gain;
  // Sums of many roundings are compared.
  return std::log(gains * faded(age_in_seconds(trace.recent[0].ms, ms), exponent)) + 1e-9;
}

void add_use(double gain, std::int64_t ms, Trace& trace) {
  trace.ms = trace.recent_count == 0 ? ms : std::min(trace.ms, ms);
  const auto begin = trace.recent.begin();
  const auto end = begin + trace.recent_count;
  const auto place = std::find_if(begin, end, [&](const Trace::Use& use) { return use.ms <= ms; });
  if (place != end && place->ms == ms) {
    place->gain += gain;
    return;
  }
  if (trace.recent_count == Trace::kRecent) {
    if (place == end) {
      trace.amount += gain;
      return;
    }
    trace.amount += trace.recent.back().gain;
  } else {
    ++trace.recent_count;
  }
  std::move_backward(place, trace.recent.begin() + trace.recent_count - 1,
                     trace.recent.begin() + trace.recent_count);
  *place = {ms, gain};
}

/// ln s(ms) of a gain of 1 at `then` under a half-life, no matter which is later.
double log_faded(std::int64_t then, std::int64_t ms, std::int64_t half_life_ms) noexcept {
  return -std::numbers::ln2 * (static_cast<double>(ms - then) / static_cast<double>(half_life_ms));
}

void join_uses(const Trace& other, Trace& trace) noexcept {
  trace.amount = std::max(trace.amount, other.amount);
  trace.ms = std::max(trace.ms, other.ms);
  trace.recent_count = std::max(trace.recent_count, other.recent_count);
  for (std::size_t i = 0; i < trace.recent_count; ++i) {
    trace.recent[i].ms = std::max(trace.recent[i].ms, other.recent[i].ms);
    trace.recent[i].gain = std::max(trace.recent[i].gain, other.recent[i].gain);
  }
}

bool is_time(std::int64_t ms) noexcept {
  return ms >= 0 && ms <= kMaxDecayMs;
}

bool is_amount(double amount) noexcept {
  return amount >= kLeastAmount && amount <= kMostAmount;
}

bool are_uses(const Trace& trace) noexcept {
  if (trace.recent_count < 1 || trace.recent_count > Trace::kRecent) return false;
  const bool has_others = trace.recent_count == Trace::kRecent && is_amount(trace.amount);
  if (trace.amount != 0 && !has_others) return false;
  for (std::size_t i = 0; i < trace.recent_count; ++i) {
    const Trace::Use& use = trace.recent[i];
    if (!is_time(use.ms) || !is_amount(use.gain)) return false;
    if (i > 0 && use.ms >= trace.recent[i - 1].ms) return false;
  }
  return is_time(trace.ms) && trace.ms <= trace.recent[trace.recent_count - 1].ms;
}

bool is_of(DecayPolicy policy, TraceKind kind) noexcept {
  switch (kind) {
    case TraceKind::kLevel:
      return policy == DecayPolicy::kStatic || policy == DecayPolicy::kExp;
    case TraceKind::kPinned:
      return policy != DecayPolicy::kNone && policy != DecayPolicy::kEbb;
    case TraceKind::kOwnHalfLife:
      return policy == DecayPolicy::kExp;
    case TraceKind::kUses:
      return policy == DecayPolicy::kPower;
    case TraceKind::kStability:
    case TraceKind::kPinnedForGood:
      return policy == DecayPolicy::kEbb;
  }
  return false;
}

bool is_sound(const Trace& trace) noexcept {
  switch (trace.kind) {
    case TraceKind::kLevel:
    case TraceKind::kPinned:
      return std::isfinite(trace.amount);
    case TraceKind::kOwnHalfLife:
      return std::isfinite(trace.amount) && is_time(trace.ms) && trace.half_life_ms >= 1 &&
             trace.half_life_ms <= kMaxDecayMs;
    case TraceKind::kUses:
      return are_uses(trace);
    case TraceKind::kStability:
    case TraceKind::kPinnedForGood:
      return is_amount(trace.amount) && is_time(trace.ms);
  }
  return false;
}

}  // namespace

Trace new_trace(const Decay& decay, double gain, std::int64_t ms, const FadeRule& rule) {
  Trace trace;
  switch (decay.policy) {
    case DecayPolicy::kNone:
    case DecayPolicy::kStatic:
    case DecayPolicy::kExp:
      trace.amount = decay.log_gain(gain, ms);
      break;
    case DecayPolicy::kPower:
      trace.kind = TraceKind::kUses;
      add_use(gain, ms, trace);
      break;
    case DecayPolicy::kEbb:
      trace.kind = TraceKind::kStability;
      trace.amount = gain * static_cast<double>(decay.stability_ms);
      trace.ms = ms;
      break;
  }
  change_rule(decay, rule, ms, trace);
  // Not by way of a level since 1970, which has fewer digits.
  if (trace.kind == TraceKind::kPinned || trace.kind == TraceKind::kOwnHalfLife) {
    trace.amount = std::log(gain);
  }
  return trace;
}

void add_gain(const Decay& decay, double gain, std::int64_t ms, Trace& trace) {
  switch (trace.kind) {
    case TraceKind::kLevel:
      trace.amount = add_logs(trace.amount, decay.log_gain(gain, ms));
      break;
    case TraceKind::kPinned:
      trace.amount = add_logs(trace.amount, std::log(gain));
      break;
    case TraceKind::kOwnHalfLife:
      trace.amount =
          add_logs(trace.amount, std::log(gain) + log_faded(ms, trace.ms, trace.half_life_ms));
      break;
    case TraceKind::kUses:
      add_use(gain, ms, trace);
      break;
    case TraceKind::kStability:
    case TraceKind::kPinnedForGood:
      trace.amount += gain * static_cast<double>(decay.stability_ms);
      trace.ms = std::max(trace.ms, ms);
      break;
  }
}

void change_rule(const Decay& decay, const FadeRule& rule, std::int64_t ms, Trace& trace) {
  if (rule.says_nothing()) return;
  if (decay.policy == DecayPolicy::kEbb) {
    trace.kind = TraceKind::kPinnedForGood;
    return;
  }
  const double amount = log_strength(decay, trace, ms);
  if (rule.pins) {
    trace = {.kind = TraceKind::kPinned, .amount = amount};
  } else if (*rule.half_life_ms == decay.half_life_ms) {
    trace = {.amount = amount + decay.log_gain(1, ms)};
  } else {
    trace = {.kind = TraceKind::kOwnHalfLife,
             .amount = amount,
             .ms = ms,
             .half_life_ms = *rule.half_life_ms};
  }
}

bool weaken(double factor, Trace& trace) noexcept {
  switch (trace.kind) {
    case TraceKind::kLevel:
    case TraceKind::kOwnHalfLife:
      trace.amount += std::log(factor);
      return true;
    case TraceKind::kUses: {
      Trace weaker = trace;
      for (std::size_t i = 0; i < trace.recent_count; ++i) weaker.recent[i].gain *= factor;
      weaker.amount *= factor;
      if (!are_uses(weaker)) return false;  // a gain has become next to nothing
      trace = weaker;
      return true;
    }
    case TraceKind::kPinned:
    case TraceKind::kStability:
    case TraceKind::kPinnedForGood:
      return false;
  }
  return false;
}

double log_strength(const Decay& decay, const Trace& trace, std::int64_t ms) noexcept {
  switch (trace.kind) {
    case TraceKind::kLevel:
      return trace.amount - decay.log_gain(1, ms);
    case TraceKind::kPinned:
      return trace.amount;
    case TraceKind::kOwnHalfLife:
      return trace.amount + log_faded(trace.ms, ms, trace.half_life_ms);
    case TraceKind::kUses:
      return log_of_uses(decay.exponent, trace, ms);
    case TraceKind::kStability:
      return -static_cast<double>(std::max<std::int64_t>(ms - trace.ms, 0)) / trace.amount;
    case TraceKind::kPinnedForGood:
      return 0;
  }
  return 0;
}

double log_strength_ceiling(const Decay& decay, const Trace& trace, std::int64_t ms) noexcept {
  if (trace.kind == TraceKind::kUses) return ceiling_of_uses(decay.exponent, trace, ms);
  return log_strength(decay, trace, ms);
}

bool join(const Decay& decay, const Trace& other, std::int64_t ms, Trace& trace) noexcept {
  if (trace.kind != other.kind) return false;
  switch (trace.kind) {
    case TraceKind::kLevel:
    case TraceKind::kPinned:
      trace.amount = std::max(trace.amount, other.amount);
      return true;
    case TraceKind::kOwnHalfLife:
      if (trace.half_life_ms != other.half_life_ms) return false;
      if (log_strength(decay, other, ms) > log_strength(decay, trace, ms)) trace = other;
      return true;
    case TraceKind::kUses:
      join_uses(other, trace);
      return true;
    case TraceKind::kStability:
    case TraceKind::kPinnedForGood:
      trace.amount = std::max(trace.amount, other.amount);
      trace.ms = std::max(trace.ms, other.ms);
      return true;
  }
  return false;
}

Status check_trace(const Decay& decay, const Trace& trace) {
  if (is_of(decay.policy, trace.kind) && is_sound(trace)) return {};
  return fail(ErrorCode::kDataLoss,
              "that is no strength that DECAY " + std::string(decay_name(decay.policy)) + " gives");
}

}  // namespace engram
