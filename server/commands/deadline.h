// SPDX-License-Identifier: Apache-2.0
// Times as clients give them to SET and EXPIRE.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "server/commands/context.h"

namespace engram {

struct TimeUnit {
  std::int64_t milliseconds;  ///< per unit: 1000 or 1
  bool absolute;              ///< counted from 1970, not from now

  bool operator==(const TimeUnit&) const = default;
};

/// EX, PX, EXAT or PXAT, and its time. Of several in one unit the last counts, as in Redis.
struct TimeOption {
  std::optional<TimeUnit> unit;
  std::string_view text;

  /// Takes the option at argv[i] and its time, which `i` is set to. False: there is no such option,
  /// its time is missing, or one of another unit was there before.
  bool take(Arguments argv, std::size_t& i);
};

enum class DeadlineError { kNotInteger, kOutOfRange };

/// `text` as unix milliseconds. With `positive`, zero and less are out of range.
tl::expected<std::int64_t, DeadlineError> parse_deadline(std::string_view text, TimeUnit unit,
                                                         std::int64_t now_ms, bool positive);

void write_deadline_error(CommandContext& context, DeadlineError error);

}  // namespace engram
