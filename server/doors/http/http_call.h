// SPDX-License-Identifier: Apache-2.0
// The contract between the HTTP door and a handler of a route.
//
// A handler runs on the event loop and must not block. It answers through `reply`, exactly once, at
// once or later; respond() does that for a typed request. The request is valid until the handler
// returns: work that outlives it copies what it needs.
#pragma once

#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "core/result.h"
#include "server/doors/http/http_response.h"
#include "server/doors/http/router.h"
#include "server/engine/within_memory.h"
#include "server/json/json_writer.h"
#include "server/requests/responder.h"

namespace engram {

/// A request, and the route that it has found.
class MatchedRequest {
 public:
  MatchedRequest(const HttpRequest& asked, const Route& matched, const PathValues& values)
      : request(asked), route(matched), values_(values) {}

  const HttpRequest& request;
  const Route& route;

  /// The value of {name} in the route's path; empty if the path has no such name.
  [[nodiscard]] std::string_view path_value(std::string_view name) const;

  /// The parameter `name` of the query, decoded; nothing if it is not there. Errors:
  /// kInvalidArgument for percent signs that mean nothing.
  [[nodiscard]] Result<std::optional<std::string>> query_value(std::string_view name) const;

 private:
  const PathValues& values_;
};

/// The same, to be carried out by the engine.
class RoutedRequest : public MatchedRequest {
 public:
  RoutedRequest(const MatchedRequest& matched, Services& shared)
      : MatchedRequest(matched), services(shared) {}

  Services& services;

  /// That of its route, or kRead if it is one that changes nothing: see Route::updates.
  [[nodiscard]] CommandKind kind() const;
};

/// One request being executed.
class HttpCall : public RoutedRequest {
 public:
  HttpCall(const RoutedRequest& asked, HttpReply promise)
      : RoutedRequest(asked), reply(std::move(promise)) {}

  HttpReply reply;
};

/// What `read(call)`, which reads a request and changes nothing, returns. Errors: also kUnavailable
/// where memory runs out.
template <class Read>
auto read_within_memory(HttpCall& call, Read&& read) -> decltype(read(call)) {
  try {
    return read(call);
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::kUnavailable, "out of memory for what the request holds");
  }
}

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
                const Status rendered = within_memory([&]() -> Status {
                  if (!answer) return tl::unexpected(answer.error());
                  render(pending->response, *answer);
                  return {};
                });
                if (!rendered) pending->response = error_response(rendered.error());
              },
          .finish =
              [pending](Lsn lsn) {
                if (lsn != 0) pending->reply.hold(lsn);
                pending->reply.send(std::move(pending->response));
              }};
}

}  // namespace engram
