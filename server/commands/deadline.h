// SPDX-License-Identifier: Apache-2.0
// Times as clients give them to SET and EXPIRE.
#pragma once

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

/// The unit that EX, PX, EXAT or PXAT means, or nothing.
std::optional<TimeUnit> time_option(std::string_view word);

enum class DeadlineError { kNotInteger, kOutOfRange };

/// `text` as unix milliseconds. With `positive`, zero and less are out of range.
tl::expected<std::int64_t, DeadlineError> parse_deadline(std::string_view text, TimeUnit unit,
                                                         std::int64_t now_ms, bool positive);

void write_deadline_error(CommandContext& context, DeadlineError error);

}  // namespace engram
