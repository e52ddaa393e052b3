// SPDX-License-Identifier: Apache-2.0
// Strengths of items, in an index that VNEW made with DECAY: what a write gives, touches, and how
// strong an item is. core/decay.h says what a strength is.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "core/options.h"
#include "core/result.h"
#include "server/engine/strengths.h"
#include "server/requests/index_ref.h"

namespace engram {

/// What a request says of strength, as it came.
struct GivenStrength {
  std::optional<double> gain = {};         ///< none: 1
  std::optional<std::int64_t> at_ms = {};  ///< none: the wall's time
  bool keeps = false;                      ///< a put adds to what its key has
  FadeRule rule = {};                      ///< of a put: HALFLIFE, PIN
};

/// What that means in `index`. Errors: kInvalidArgument for numbers out of range, for a strength or
/// a time where the index has no such thing, and for no time where only the client knows it.
Result<StrengthGain> gain_of(Store& store, const IndexRef& index, const GivenStrength& given);

/// The time that a read is of: `at_ms` if it names one, the last write under a logical clock, else
/// now by the wall and no earlier than the last write. Any number where there are no strengths, or
/// they have no time.
std::int64_t time_of_read(Store& store, const Collection& collection,
                          std::optional<std::int64_t> at_ms = {});

/// Takes STRENGTH, AT and HALFLIFE by name. Errors: kInvalidArgument, also for any other option.
Status read_strength(std::vector<OptionText> options, GivenStrength& given);

/// What a search or a recall says of strength.
struct StrengthRead {
  std::optional<std::int64_t> at_ms = {};  ///< none: that of time_of_read()
  NeighborFields fields = {};              ///< to answer of each item
  std::optional<double> touch = {};        ///< the gain of what is answered; none: it is left alone
};

/// Removes AT and TOUCH from `options`. Errors: kInvalidArgument.
Status take_strength_read(std::vector<OptionText>& options, StrengthRead& read);
/// Removes TOUCH alone.
Result<std::optional<double>> take_touch(std::vector<OptionText>& options);
/// Removes AT alone.
Status take_read_time(std::vector<OptionText>& options, std::optional<std::int64_t>& at_ms);

/// Errors: those of gain_of(), and kInvalidArgument for what an index without strengths, or without
/// time, does not have.
Status check_strength_read(Store& store, const IndexRef& index, const StrengthRead& read);

/// What a read has answered is touched in one turn of the loop. Errors: kInvalidArgument if that is
/// too much.
Status check_touched(std::size_t answers);

/// What `index` is given for a read that touches, when it has been answered; it was checked.
StrengthGain gain_of_read(Store& store, const IndexRef& index, const StrengthRead& read);

struct TouchRequest {
  IndexRef index;
  std::vector<std::string_view> keys = {};  ///< borrowed until touch() returns
  GivenStrength strength = {};
};

/// Takes GAIN and AT by name. Errors: kInvalidArgument.
Status read_options(std::vector<OptionText> options, TouchRequest& request);

/// Adds to the strengths of the keys. Returns what each has then, as of the time of the touch; and
/// nothing for a key that is not there. Errors: those of gain_of() and check_room().
Result<std::vector<std::optional<double>>> touch(Store& store, const TouchRequest& request);

struct StrengthRequest {
  IndexRef index;
  std::string_view key = {};    ///< borrowed until strength_of() returns
  GivenStrength strength = {};  ///< only the time
};

/// Takes AT by name. Errors: kInvalidArgument.
Status read_options(std::vector<OptionText> options, StrengthRequest& request);

struct StrengthAnswer {
  double strength;                    ///< at `at_ms`
  double bias;                        ///< of the logit: 0 for the strongest then, else less
  std::optional<std::int64_t> at_ms;  ///< none: strengths do not change with time
  bool is_pinned;
  std::optional<std::int64_t> half_life_ms;  ///< under exp, unless it is pinned
  std::optional<double> stability_ms;        ///< under ebb: S of the item
};

/// How strong a key is; nothing if it is not there. Errors: kInvalidArgument for a time out of
/// range or an index without strengths.
Result<std::optional<StrengthAnswer>> strength_of(Store& store, const StrengthRequest& request);

}  // namespace engram
