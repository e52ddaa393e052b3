// SPDX-License-Identifier: Apache-2.0
// The texts of errors that more than one command gives, and the one place where an Error becomes a
// RESP error line.
#pragma once

#include <string>
#include <string_view>

#include "core/result.h"
#include "server/requests/shown.h"
#include "server/resp/reply_writer.h"

namespace engram {

inline constexpr std::string_view kWrongTypeError =
    "WRONGTYPE Operation against a key holding the wrong kind of value";
inline constexpr std::string_view kOomError =
    "OOM command not allowed when used memory > 'maxmemory'.";
inline constexpr std::string_view kSyntaxError = "ERR syntax error";
inline constexpr std::string_view kNoAuthError = "NOAUTH Authentication required.";
inline constexpr std::string_view kWrongPassError =
    "WRONGPASS invalid username-password pair or user is disabled.";
inline constexpr std::string_view kNotIntegerError = "ERR value is not an integer or out of range";

/// The line that refuses a write, or takes the place of its answer, while the journal cannot keep
/// it.
std::string misconf_error(const Error& error);

/// Writes `error` with the prefix that its code has in RESP: WRONGTYPE with Redis's own sentence
/// for kWrongType, MISCONF for kNotWritable, ERR otherwise.
void write_error(ReplyWriter& reply, const Error& error);

}  // namespace engram
