// SPDX-License-Identifier: Apache-2.0
// Responses as bytes, and the promise of one.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "core/result.h"
#include "server/commands/context.h"
#include "server/doors/http/http_request.h"

namespace engram {

inline constexpr std::string_view kJsonType = "application/json";

struct HttpResponse {
  int status = 200;
  std::string body = {};
  std::string_view content_type = kJsonType;  ///< static
  std::string fields = {};                    ///< further ones: whole lines, each with its end
};

/// The body that every error has, and the status that its code has. 503 and 429 say when to try
/// again.
HttpResponse error_response(int status, std::string_view sentence);
HttpResponse error_response(const Error& error);
HttpResponse error_response(const HttpRefusal& refusal);

/// What the bytes of a response depend on beside it.
struct HttpEnvelope {
  std::string request_id = {};
  bool keeps_alive = true;
  bool is_http_1_1 = true;
  bool is_head = false;  ///< the body is left out
};

/// All bytes before the body. On the event loop's thread.
std::string head_of(const HttpResponse& response, const HttpEnvelope& envelope);

/// A whole response to a client that is not served, after which the connection is closed.
std::string unasked_response(int status, std::string_view sentence);

/// The promise of one response; kept once, and else an error keeps it. Threads: the event loop's
/// only.
class HttpReply {
 public:
  HttpReply(Deferred place, HttpEnvelope envelope)
      : place_(std::move(place)), envelope_(std::move(envelope)) {}
  HttpReply(HttpReply&& other) noexcept
      : place_(std::move(other.place_)),
        envelope_(std::move(other.envelope_)),
        is_kept_(std::exchange(other.is_kept_, true)) {}
  HttpReply& operator=(HttpReply&&) = delete;
  ~HttpReply() {
    if (!is_kept_) send(error_response(500, "the request was abandoned unanswered"));
  }

  void send(HttpResponse response);
  void send(const Error& error) { send(error_response(error)); }

  /// See Deferred::expect().
  void expect(std::size_t bytes) { place_.expect(bytes); }
  /// See Deferred::hold().
  void hold(Lsn lsn) { place_.hold(lsn); }

 private:
  Deferred place_;
  HttpEnvelope envelope_;
  bool is_kept_ = false;
};

}  // namespace engram
