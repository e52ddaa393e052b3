// SPDX-License-Identifier: Apache-2.0
#include "server/commands/errors.h"

namespace engram {

std::string shown(std::string_view text) {
  constexpr std::size_t kMostBytes = 128;
  return std::string(text.substr(0, kMostBytes));
}

void write_error(ReplyWriter& reply, const Error& error) {
  if (error.code == ErrorCode::kWrongType) return reply.error(kWrongTypeError);
  reply.error("ERR " + error.message);
}

}  // namespace engram
