// SPDX-License-Identifier: Apache-2.0
#include "server/commands/errors.h"

#include "server/engine/not_writable.h"

namespace engram {

std::string misconf_error(const Error& error) {
  return "MISCONF " + not_writable(error).message;
}

void write_error(ReplyWriter& reply, const Error& error) {
  if (error.code == ErrorCode::kWrongType) return reply.error(kWrongTypeError);
  reply.error((error.code == ErrorCode::kNotWritable ? "MISCONF " : "ERR ") + error.message);
}

}  // namespace engram
