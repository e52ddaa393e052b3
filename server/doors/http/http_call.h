// SPDX-License-Identifier: Apache-2.0
// The contract between the HTTP door and a handler of a route.
//
// A handler runs on the event loop and must not block. It answers through `reply`, exactly once, at
// once or later; respond() does that for a typed request. The request is valid until the handler
// returns: work that outlives it copies what it needs.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "core/result.h"
#include "server/doors/http/http_response.h"
#include "server/doors/http/router.h"
#include "server/json/json_writer.h"
#include "server/requests/responder.h"

namespace engram {

/// One request being executed.
class HttpCall {
 public:
  HttpCall(const HttpRequest& asked, const Route& matched, const PathValues& values,
           Services& shared, HttpReply promise)
      : request(asked),
        route(matched),
        services(shared),
        reply(std::move(promise)),
        values_(values) {}

  const HttpRequest& request;
  const Route& route;
  Services& services;
  HttpReply reply;

  /// The value of {name} in the route's path; empty if the path has no such name.
  [[nodiscard]] std::string_view path_value(std::string_view name) const;

  /// The parameter `name` of the query, decoded; nothing if it is not there. Errors:
  /// kInvalidArgument for percent signs that mean nothing.
  [[nodiscard]] Result<std::optional<std::string>> query_value(std::string_view name) const;

 private:
  const PathValues& values_;
};

/// Answers a typed request: with an error, or with what `render(HttpResponse&, const Answer&)`
/// makes of the answer, on the thread that has it. For requests that are answered in one take().
/// Takes the promise out of `call`. `expected_bytes` is about what the answer will hold.
template <class Answer, class Render>
Responder<Answer> respond(HttpCall& call, std::size_t expected_bytes, Render render) {
  struct Pending {
    HttpReply reply;
    HttpResponse response;
  };
  call.reply.expect(expected_bytes);
  const auto pending = std::make_shared<Pending>(Pending{std::move(call.reply), {}});
  return {.take =
              [pending, render](const Result<Answer>& answer) {
                if (answer) {
                  render(pending->response, *answer);
                } else {
                  pending->response = error_response(answer.error());
                }
              },
          .finish =
              [pending](Lsn lsn) {
                if (lsn != 0) pending->reply.hold(lsn);
                pending->reply.send(std::move(pending->response));
              }};
}

}  // namespace engram
