// SPDX-License-Identifier: Apache-2.0
// How the answer to a typed request becomes the reply to a command.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include "core/result.h"
#include "server/commands/context.h"
#include "server/commands/errors.h"
#include "server/requests/responder.h"

namespace engram {

/// Defers the reply, which is then an error or what `render(ReplyWriter&, const Answer&)` writes
/// (`render(ReplyWriter&)` if Answer is void), on the thread that has the answer. For requests that
/// are answered in one take(). `expected_bytes` is that of CommandContext::defer().
template <class Answer, class Render>
Responder<Answer> respond(CommandContext& context, std::size_t expected_bytes, Render render) {
  struct Pending {
    Deferred reply;
    std::string bytes;
  };
  const auto pending = std::make_shared<Pending>(Pending{context.defer(expected_bytes), {}});
  return {.take =
              [pending, render](const Result<Answer>& answer) {
                ReplyWriter writer(pending->bytes, pending->reply.version());
                if (!answer) {
                  pending->bytes.clear();
                  return write_error(writer, answer.error());
                }
                if constexpr (std::is_void_v<Answer>) {
                  render(writer);
                } else {
                  render(writer, *answer);
                }
              },
          .finish =
              [pending](Lsn lsn) {
                if (lsn != 0) pending->reply.hold(lsn);
                pending->reply.reply_rendered(std::move(pending->bytes));
              }};
}

}  // namespace engram
