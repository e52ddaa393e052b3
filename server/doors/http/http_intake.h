// SPDX-License-Identifier: Apache-2.0
// Bytes of an HTTP client to requests that have found their route, or to refusals. A request is
// looked at twice: when its head is there, so that what is refused anyway sends no body, and when
// it is whole. Who carries requests out is not its business.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "server/config/config.h"
#include "server/doors/http/http_parser.h"
#include "server/doors/http/http_response.h"
#include "server/doors/http/router.h"
#include "server/net/byte_buffer.h"

namespace engram {

inline constexpr std::string_view kHttpContinue = "HTTP/1.1 100 Continue\r\n\r\n";

/// Threads: the event loop's only.
class HttpIntake {
 public:
  /// Goes by the password, protected mode and bounds of `config`, which outlives it. `awaits_body`
  /// is called when a client waits for kHttpContinue before it sends a body.
  HttpIntake(const ServerConfig& config, std::function<void()> awaits_body)
      : config_(config), awaits_body_(std::move(awaits_body)) {}

  /// Takes what it needs off `input`; `now_ms` is of any one clock. Whether a request is whole, or
  /// refused: then begin_next() comes before the next read().
  bool read(ByteBuffer& input, std::int64_t now_ms);
  /// A request is whole, or refused.
  [[nodiscard]] bool has_request() const noexcept { return step_ != Step::kReading; }

  /// Null: the request is whole.
  [[nodiscard]] const HttpRefusal* refusal() const noexcept {
    return refused_ ? &*refused_ : nullptr;
  }
  /// Of one that is not refused.
  [[nodiscard]] const HttpRequest& request() const noexcept { return parser_.request(); }
  [[nodiscard]] const RouteMatch& match() const noexcept { return match_; }

  /// A refused one is the last of its client: what follows may be its body.
  [[nodiscard]] bool is_cut_off() const noexcept {
    return refused_ && (!has_head_ || parser_.request().has_body);
  }
  /// The client sends no other after it.
  [[nodiscard]] bool is_last() const noexcept {
    return is_cut_off() || (has_head_ && !parser_.request().keeps_alive);
  }
  /// What its response depends on beside the response; `client` and how many it has sent make ids.
  [[nodiscard]] HttpEnvelope envelope(std::uint64_t client);

  /// There is no memory for the rest of a request.
  void refuse_for_memory();
  void begin_next();

  /// What the body that arrives is known to lack.
  [[nodiscard]] std::size_t bytes_missing() const noexcept { return parser_.bytes_missing(); }
  /// Since when a head has been arriving, by the clock of read(); 0: none is.
  [[nodiscard]] std::int64_t head_since_ms() const noexcept { return has_head_ ? 0 : began_ms_; }

 private:
  enum class Step : std::uint8_t { kReading, kWhole, kRefused };

  HttpParser::Progress parse(ByteBuffer& input);
  [[nodiscard]] bool has_large_json(std::size_t bytes) const;
  void refuse(HttpRefusal refusal);
  void look_at_head();
  [[nodiscard]] std::optional<HttpRefusal> check_head();
  [[nodiscard]] std::optional<HttpRefusal> check_origin() const;
  [[nodiscard]] bool is_authorized() const;
  [[nodiscard]] std::string made_id(std::uint64_t client) const;

  const ServerConfig& config_;
  const std::function<void()> awaits_body_;
  HttpParser parser_;
  Step step_ = Step::kReading;
  RouteMatch match_;                    // of the request whose head is there
  std::optional<HttpRefusal> refused_;  // of Step::kRefused
  std::int64_t began_ms_ = 0;           // the request that is being read; 0: there is none
  bool has_head_ = false;               // and its head is there
  std::uint64_t requests_ = 0;
};

}  // namespace engram
