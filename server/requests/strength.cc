// SPDX-License-Identifier: Apache-2.0
#include "server/requests/strength.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "core/text.h"
#include "server/requests/arguments.h"
#include "server/requests/keys.h"
#include "server/requests/shown.h"

namespace engram {
namespace {

/// Far from where a double ends, so that no sum of gains comes near.
constexpr double kLeastGain = 1e-100;
constexpr double kMostGain = 1e100;

Status check_gain(double gain) {
  if (gain >= kLeastGain && gain <= kMostGain) return {};
  return fail(ErrorCode::kInvalidArgument,
              "a gain of strength must be a number in 1e-100..1e100, got " + number_text(gain));
}

Status check_time(std::int64_t ms) {
  if (ms >= 0 && ms <= kMaxDecayMs) return {};
  return fail(ErrorCode::kInvalidArgument, "AT must be an integer of milliseconds in 0.." +
                                               std::to_string(kMaxDecayMs) + ", got '" +
                                               std::to_string(ms) + "'");
}

tl::unexpected<Error> without_strengths(const IndexRef& index) {
  return fail(ErrorCode::kInvalidArgument, "index '" + shown(index.name) +
                                               "' keeps no strengths: VNEW with DECAY makes one "
                                               "that does");
}

Status check_has_time(const IndexRef& index, const GivenStrength& given) {
  if (!given.at_ms) return {};
  ENGRAM_TRY(check_time(*given.at_ms));
  if (index.spec().decay.has_time()) return {};
  return fail(ErrorCode::kInvalidArgument, "strengths of index '" + shown(index.name) +
                                               "' do not change with time, so there is no AT");
}

Status read_gain(std::string_view name, std::string_view text, GivenStrength& given) {
  const auto gain = parse_number<double>(text);
  if (!gain) {
    return fail(
        ErrorCode::kInvalidArgument,
        std::string(name) + " must be a number in 1e-100..1e100, got '" + shown(text) + "'");
  }
  given.gain = *gain;
  return check_gain(*gain);
}

Status read_time(std::string_view text, GivenStrength& given) {
  const auto ms = parse_number<std::int64_t>(text);
  if (!ms) {
    return fail(ErrorCode::kInvalidArgument, "AT must be an integer of milliseconds in 0.." +
                                                 std::to_string(kMaxDecayMs) + ", got '" +
                                                 shown(text) + "'");
  }
  given.at_ms = *ms;
  return check_time(*ms);
}

Status take_gain(std::vector<OptionText>& options, std::string_view name, GivenStrength& given) {
  const auto gain = take_option(options, name);
  if (!gain) return tl::unexpected(gain.error());
  return *gain ? read_gain(name, **gain, given) : Status{};
}

Status take_time(std::vector<OptionText>& options, GivenStrength& given) {
  const auto at = take_option(options, "AT");
  if (!at) return tl::unexpected(at.error());
  return *at ? read_time(**at, given) : Status{};
}

Status check_none_left(const std::vector<OptionText>& options, std::string_view known) {
  if (options.empty()) return {};
  return fail(ErrorCode::kInvalidArgument, "unknown option '" + shown(options.front().first) +
                                               "', known options are " + std::string(known));
}

Status check_rule(const IndexRef& index, const FadeRule& rule) {
  if (!rule.half_life_ms) return {};
  if (index.spec().decay.policy != DecayPolicy::kExp) {
    return fail(ErrorCode::kInvalidArgument,
                "index '" + shown(index.name) + "' has no DECAY exp, so there is no HALFLIFE");
  }
  if (rule.pins) {
    return fail(ErrorCode::kInvalidArgument, "PIN and HALFLIFE exclude each other");
  }
  if (*rule.half_life_ms >= 1 && *rule.half_life_ms <= kMaxDecayMs) return {};
  return fail(ErrorCode::kInvalidArgument,
              "HALFLIFE must be an integer of milliseconds in 1.." + std::to_string(kMaxDecayMs));
}

}  // namespace

std::int64_t time_of_read(Store& store, const Collection& collection,
                          std::optional<std::int64_t> at_ms) {
  if (at_ms || !collection.spec().decay.has_time()) return at_ms.value_or(0);
  const Strengths& strengths = collection.strengths();
  if (strengths.decay().clock == DecayClock::kLogical) return strengths.last_ms();
  return std::max(store.keyspace().now_ms(), strengths.last_ms());
}

Result<StrengthGain> gain_of(Store& store, const IndexRef& index, const GivenStrength& given) {
  if (!index.collection->has_strengths()) {
    const bool gives = given.gain || given.at_ms || given.keeps || !given.rule.says_nothing();
    if (gives) return without_strengths(index);
    return StrengthGain{};
  }
  ENGRAM_TRY(check_has_time(index, given));
  if (given.gain) ENGRAM_TRY(check_gain(*given.gain));
  ENGRAM_TRY(check_rule(index, given.rule));
  const Decay& decay = index.spec().decay;
  if (decay.has_time() && decay.clock == DecayClock::kLogical && !given.at_ms) {
    return fail(
        ErrorCode::kInvalidArgument,
        "index '" + shown(index.name) + "' has CLOCK logical: a write must say AT milliseconds");
  }
  return StrengthGain{.gain = given.gain.value_or(1),
                      .at_ms = given.at_ms,
                      .wall_ms = decay.has_time() ? store.keyspace().now_ms() : 0,
                      .adds = given.keeps,
                      .rule = given.rule};
}

Status read_strength(std::vector<OptionText> options, GivenStrength& given) {
  ENGRAM_TRY(take_gain(options, "STRENGTH", given));
  ENGRAM_TRY(take_time(options, given));
  const auto half_life = take_option(options, "HALFLIFE");
  if (!half_life) return tl::unexpected(half_life.error());
  if (*half_life) {
    const auto ms = read_half_life("HALFLIFE", **half_life);
    if (!ms) return tl::unexpected(ms.error());
    given.rule.half_life_ms = *ms;
  }
  return check_none_left(options, "STRENGTH, AT, HALFLIFE, SETATTR");
}

Status take_read_time(std::vector<OptionText>& options, std::optional<std::int64_t>& at_ms) {
  GivenStrength given;
  const auto at = take_option(options, "AT");
  if (!at) return tl::unexpected(at.error());
  if (*at) ENGRAM_TRY(read_time(**at, given));
  at_ms = given.at_ms;
  return {};
}

Result<std::optional<double>> take_touch(std::vector<OptionText>& options) {
  GivenStrength given;
  const auto touch = take_option(options, "TOUCH");
  if (!touch) return tl::unexpected(touch.error());
  if (*touch) ENGRAM_TRY(read_gain("TOUCH", **touch, given));
  return given.gain;
}

Status take_strength_read(std::vector<OptionText>& options, StrengthRead& read) {
  const auto touch = take_touch(options);
  if (!touch) return tl::unexpected(touch.error());
  read.touch = *touch;
  return take_read_time(options, read.at_ms);
}

Status check_strength_read(Store& store, const IndexRef& index, const StrengthRead& read) {
  const bool needs_strengths = read.at_ms || read.touch || read.fields.strength;
  if (!needs_strengths) return {};
  if (!index.collection->has_strengths()) return without_strengths(index);
  if (!read.touch) return check_has_time(index, {.at_ms = read.at_ms});
  const auto gain = gain_of(store, index, {.gain = read.touch, .at_ms = read.at_ms});
  return gain ? Status() : Status(tl::unexpected(gain.error()));
}

Status check_touched(std::size_t answers) {
  constexpr std::size_t kMostTouched = 4096;
  if (answers <= kMostTouched) return {};
  return fail(ErrorCode::kInvalidArgument, "TOUCH takes at most " + std::to_string(kMostTouched) +
                                               " answers, the command asks for " +
                                               std::to_string(answers));
}

StrengthGain gain_of_read(Store& store, const IndexRef& index, const StrengthRead& read) {
  return gain_of(store, index, {.gain = read.touch, .at_ms = read.at_ms}).value_or(StrengthGain{});
}

Status read_options(std::vector<OptionText> options, TouchRequest& request) {
  ENGRAM_TRY(take_gain(options, "GAIN", request.strength));
  ENGRAM_TRY(take_time(options, request.strength));
  return check_none_left(options, "GAIN, AT");
}

Result<std::vector<std::optional<double>>> touch(Store& store, const TouchRequest& request) {
  if (!request.index.collection->has_strengths()) return without_strengths(request.index);
  const auto gain = gain_of(store, request.index, request.strength);
  if (!gain) return tl::unexpected(gain.error());
  ENGRAM_TRY(check_room(store.keyspace(), change_bytes(request.keys)));
  Collection& collection = *request.index.collection;
  auto answers = collection.touch(request.keys, *gain);
  for (auto& answer : answers) {
    if (answer) answer = std::exp(*answer);
  }
  return answers;
}

Status read_options(std::vector<OptionText> options, StrengthRequest& request) {
  ENGRAM_TRY(take_time(options, request.strength));
  return check_none_left(options, "AT");
}

Result<std::optional<StrengthAnswer>> strength_of(Store& store, const StrengthRequest& request) {
  Collection& collection = *request.index.collection;
  if (!collection.has_strengths()) return without_strengths(request.index);
  ENGRAM_TRY(check_has_time(request.index, request.strength));
  const Slot slot = collection.strength_slot(request.key);
  if (slot == kNoSlot) return std::nullopt;
  const Strengths& strengths = collection.strengths();
  const Decay& decay = strengths.decay();
  const std::int64_t ms = time_of_read(store, collection, request.strength.at_ms);
  const Trace trace = strengths.trace(slot);
  double handicap = 0;
  StrengthBias(strengths, ms).handicaps({&slot, 1}, {&handicap, 1});
  StrengthAnswer answer = {.strength = std::exp(log_strength(decay, trace, ms)),
                           .bias = 0 - handicap,
                           .at_ms = std::nullopt,
                           .is_pinned = trace.is_pinned(),
                           .half_life_ms = std::nullopt,
                           .stability_ms = std::nullopt};
  if (decay.has_time()) answer.at_ms = ms;
  if (decay.policy == DecayPolicy::kExp && !answer.is_pinned) {
    const bool is_own = trace.kind == TraceKind::kOwnHalfLife;
    answer.half_life_ms = is_own ? trace.half_life_ms : decay.half_life_ms;
  }
  if (decay.policy == DecayPolicy::kEbb) answer.stability_ms = trace.amount;
  return answer;
}

}  // namespace engram
