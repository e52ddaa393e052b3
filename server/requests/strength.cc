// SPDX-License-Identifier: Apache-2.0
#include "server/requests/strength.h"

#include <algorithm>
#include <string>

#include "core/text.h"
#include "server/requests/arguments.h"
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
    if (given.gain || given.at_ms || given.keeps) return without_strengths(index);
    return StrengthGain{};
  }
  ENGRAM_TRY(check_has_time(index, given));
  if (given.gain) ENGRAM_TRY(check_gain(*given.gain));
  const Decay& decay = index.spec().decay;
  if (decay.has_time() && decay.clock == DecayClock::kLogical && !given.at_ms) {
    return fail(
        ErrorCode::kInvalidArgument,
        "index '" + shown(index.name) + "' has CLOCK logical: a write must say AT milliseconds");
  }
  return StrengthGain{.gain = given.gain.value_or(1),
                      .at_ms = given.at_ms,
                      .wall_ms = decay.has_time() ? store.keyspace().now_ms() : 0,
                      .adds = given.keeps};
}

Status read_strength(std::vector<OptionText> options, std::string_view gain_name,
                     GivenStrength& given) {
  const bool has_gain = !gain_name.empty();
  if (has_gain) {
    const auto gain = take_option(options, gain_name);
    if (!gain) return tl::unexpected(gain.error());
    if (*gain) ENGRAM_TRY(read_gain(gain_name, **gain, given));
  }
  const auto at = take_option(options, "AT");
  if (!at) return tl::unexpected(at.error());
  if (*at) ENGRAM_TRY(read_time(**at, given));
  if (options.empty()) return {};
  return fail(ErrorCode::kInvalidArgument,
              "unknown option '" + shown(options.front().first) + "', known options are " +
                  (has_gain ? std::string(gain_name) + ", " : std::string()) + "AT");
}

Status read_options(std::vector<OptionText> options, TouchRequest& request) {
  return read_strength(std::move(options), "GAIN", request.strength);
}

Result<std::vector<std::optional<double>>> touch(Store& store, const TouchRequest& request) {
  if (!request.index.collection->has_strengths()) return without_strengths(request.index);
  const auto gain = gain_of(store, request.index, request.strength);
  if (!gain) return tl::unexpected(gain.error());
  Collection& collection = *request.index.collection;
  auto answers = collection.touch(request.keys, *gain);
  const Strengths& strengths = collection.strengths();
  const std::int64_t ms = gain->at_ms.value_or(strengths.last_ms());
  for (auto& answer : answers) {
    if (answer) answer = strengths.decay().strength(*answer, ms);
  }
  return answers;
}

Status read_options(std::vector<OptionText> options, StrengthRequest& request) {
  return read_strength(std::move(options), {}, request.strength);
}

Result<std::optional<StrengthAnswer>> strength_of(Store& store, const StrengthRequest& request) {
  Collection& collection = *request.index.collection;
  if (!collection.has_strengths()) return without_strengths(request.index);
  ENGRAM_TRY(check_has_time(request.index, request.strength));
  const auto log_strength = collection.log_strength(request.key);
  if (!log_strength) return std::nullopt;
  const Strengths& strengths = collection.strengths();
  const Decay& decay = strengths.decay();
  const std::int64_t ms = time_of_read(store, collection, request.strength.at_ms);
  return StrengthAnswer{
      .strength = decay.strength(*log_strength, ms),
      .bias = 0 - decay.omega * std::max(0.0, strengths.greatest() - *log_strength),
      .at_ms = decay.has_time() ? std::optional(ms) : std::nullopt};
}

}  // namespace engram
