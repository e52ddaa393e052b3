// SPDX-License-Identifier: Apache-2.0
// HTTP/1 requests out of bytes. http_parser.cc alone includes Boost.Beast, which does the parsing;
// what is added here are bounds, and a refusal of what two servers may read in two ways.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "server/doors/http/http_request.h"

namespace engram {

/// Reads one request after another.
class HttpParser {
 public:
  /// Of the start line with all fields, and of the trailers of a body in chunks.
  static constexpr std::size_t kMostHeadBytes = 16UL * 1024;

  enum class Outcome : std::uint8_t {
    kIncomplete,  ///< more bytes are needed
    kHead,        ///< request() has everything but its body; told once, and also if it has none
    kRequest,     ///< request() is whole
    kRefused,     ///< nothing more can be read; see refusal()
  };

  HttpParser();
  ~HttpParser();
  HttpParser(const HttpParser&) = delete;
  HttpParser& operator=(const HttpParser&) = delete;

  struct Progress {
    Outcome outcome;
    std::size_t consumed;  ///< bytes that need not be shown again
  };

  /// Goes on with `bytes`, which begin with those that were not consumed. A body may have
  /// `most_body_bytes`. After kRequest, begin_next() comes first.
  Progress parse(std::string_view bytes, std::size_t most_body_bytes);

  [[nodiscard]] const HttpRequest& request() const noexcept;
  [[nodiscard]] const HttpRefusal& refusal() const noexcept;
  /// A request has begun and is not whole.
  [[nodiscard]] bool is_amid() const noexcept;
  /// What its body is known to lack.
  [[nodiscard]] std::size_t bytes_missing() const noexcept;

  /// Forgets the request.
  void begin_next();

 private:
  class Message;

  std::unique_ptr<Message> message_;  // null: nothing has been read of it
};

}  // namespace engram
