// SPDX-License-Identifier: Apache-2.0
#include "server/commands/errors.h"

namespace engram {

std::string misconf_error(const Error& error) {
  const std::string_view remedy =
      error.code == ErrorCode::kNoSpace       ? "writes are accepted again when there is space"
      : error.code == ErrorCode::kUnavailable ? "writes are accepted again when that has passed"
                                              : "writes are refused until the server is started "
                                                "anew, and VSAVE saves what is in memory";
  return "MISCONF Errors writing to the journal: " + error.message + "; reads are served, " +
         std::string(remedy);
}

void write_error(ReplyWriter& reply, const Error& error) {
  if (error.code == ErrorCode::kWrongType) return reply.error(kWrongTypeError);
  reply.error("ERR " + error.message);
}

}  // namespace engram
