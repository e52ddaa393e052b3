// SPDX-License-Identifier: Apache-2.0
// Bytes of an HTTP client to requests of a session, and responses to bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "server/doors/door.h"
#include "server/doors/http/http_intake.h"
#include "server/doors/http/http_response.h"

namespace engram {

class RoutedRequest;

/// Threads: the event loop's only.
class HttpDoor final : public Door {
 public:
  /// All outlive it.
  HttpDoor(Sessions& sessions, Services& services, std::function<void()> progressed);

  Session& session() noexcept override { return session_; }
  [[nodiscard]] const Session& session() const noexcept override { return session_; }

  void refuse_input() override { intake_.refuse_for_memory(); }
  [[nodiscard]] std::int64_t silent_until_ms() const override;

 private:
  bool execute_next() override;
  [[nodiscard]] bool has_more() const noexcept override {
    return intake_.has_request() || input_.size() != 0;
  }
  [[nodiscard]] std::size_t bytes_missing() const noexcept override {
    return intake_.bytes_missing();
  }
  std::string refusal(const Error& error) override;

  void invite_body();
  bool answer();
  void execute(const RoutedRequest& routed, CommandKind kind, HttpReply reply);

  Sessions& sessions_;
  Services& services_;
  HttpIntake intake_;
  Session session_;
};

}  // namespace engram
