// SPDX-License-Identifier: Apache-2.0
// An answer as the session of a call orders it: a byte of status, then the message or the sentence.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <google/protobuf/message_lite.h>

#include "core/result.h"
#include "server/commands/context.h"
#include "server/engine/within_memory.h"
#include "server/requests/answer_size.h"
#include "server/requests/responder.h"

namespace engram {

/// The numbers of gRPC that the engine's errors become.
enum class GrpcCode : char {
  kOk = 0,
  kInvalidArgument = 3,
  kNotFound = 5,
  kAlreadyExists = 6,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
  kDataLoss = 15,
};

std::string grpc_refusal(GrpcCode code, std::string_view sentence);
std::string grpc_refusal(const Error& error);
std::string grpc_answer(const google::protobuf::MessageLite& message);

/// Answers a typed request with what `render(Response&, const Answer&)` makes of the answer, on the
/// thread that has it.
template <class Response, class Answer, class Render>
Responder<Answer> respond(Deferred promise, Render render) {
  struct Pending {
    Deferred reply;
    std::string bytes;
  };
  const auto pending = std::make_shared<Pending>(Pending{std::move(promise), {}});
  return {.take =
              [pending, render](const Result<Answer>& answer) {
                const Status rendered = within_memory([&]() -> Status {
                  if (!answer) return tl::unexpected(answer.error());
                  Response response;
                  ENGRAM_TRY(render(response, *answer));
                  pending->bytes = grpc_answer(response);
                  return {};
                });
                if (!rendered) pending->bytes = grpc_refusal(rendered.error());
              },
          .finish =
              [pending](Lsn lsn) {
                if (lsn != 0) pending->reply.hold(lsn);
                pending->reply.reply_rendered(std::move(pending->bytes));
              }};
}

}  // namespace engram
