// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <variant>

#include "server/commands/errors.h"
#include "server/engine/keyspace.h"
#include "server/resp/reply_writer.h"

namespace engram {

/// Writes the string at `value` or a null; false, with the error written, if it is no string.
inline bool reply_string(ReplyWriter& reply, const Value* value) {
  if (value == nullptr) {
    reply.null();
    return true;
  }
  const auto* const text = std::get_if<std::string>(value);
  if (text == nullptr) {
    reply.error(kWrongTypeError);
    return false;
  }
  reply.bulk(*text);
  return true;
}

}  // namespace engram
