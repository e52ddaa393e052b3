// SPDX-License-Identifier: Apache-2.0
#include "server/commands/errors.h"

#include <string>

namespace engram {

void write_error(ReplyWriter& reply, const Error& error) {
  if (error.code == ErrorCode::kWrongType) return reply.error(kWrongTypeError);
  reply.error("ERR " + error.message);
}

}  // namespace engram
