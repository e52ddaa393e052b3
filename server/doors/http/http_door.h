// SPDX-License-Identifier: Apache-2.0
// Bytes of an HTTP client to requests of a session, and responses to bytes. A request is looked at
// twice: when its head is there, so that what is refused anyway sends no body, and when it is
// whole.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "server/doors/door.h"
#include "server/doors/http/http_parser.h"
#include "server/doors/http/http_response.h"
#include "server/doors/http/router.h"

namespace engram {

/// Threads: the event loop's only.
class HttpDoor final : public Door {
 public:
  /// All outlive it.
  HttpDoor(Sessions& sessions, Services& services, std::function<void()> progressed);

  Session& session() noexcept override { return session_; }
  [[nodiscard]] const Session& session() const noexcept override { return session_; }

  void refuse_input() override;
  [[nodiscard]] std::int64_t silent_until_ms() const override;

 private:
  enum class Step : std::uint8_t { kReading, kWhole, kRefused };

  bool execute_next() override;
  [[nodiscard]] bool has_more() const noexcept override {
    return step_ != Step::kReading || input_.size() != 0;
  }
  [[nodiscard]] std::size_t bytes_missing() const noexcept override {
    return parser_.bytes_missing();
  }
  std::string refusal(const Error& error) override;

  bool read();
  HttpParser::Progress parse();
  [[nodiscard]] bool has_large_json(std::size_t bytes) const;
  void look_at_head();
  [[nodiscard]] std::optional<HttpRefusal> check_head();
  [[nodiscard]] std::optional<HttpRefusal> check_origin() const;
  [[nodiscard]] bool is_authorized() const;
  void refuse(HttpRefusal refusal);
  bool answer();
  void execute(const RoutedRequest& routed, CommandKind kind, HttpReply reply);
  [[nodiscard]] HttpEnvelope envelope();
  [[nodiscard]] std::string made_id() const;

  Sessions& sessions_;
  Services& services_;
  HttpParser parser_;
  Step step_ = Step::kReading;
  RouteMatch match_;                    // of the request whose head is there
  std::optional<HttpRefusal> refused_;  // of Step::kRefused
  std::int64_t began_ms_ = 0;           // the request that is being read; 0: there is none
  bool has_head_ = false;               // and its head is there
  std::uint64_t requests_ = 0;
  Session session_;
};

}  // namespace engram
