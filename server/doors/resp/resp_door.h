// SPDX-License-Identifier: Apache-2.0
// Bytes of a RESP client to commands of a session, and replies to bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "server/doors/door.h"
#include "server/resp/parser.h"
#include "server/session/command_session.h"

namespace engram {

/// Threads: the event loop's only.
class RespDoor final : public Door {
 public:
  /// All outlive it.
  RespDoor(Sessions& sessions, Services& services, std::function<void()> progressed);

  CommandSession& session() noexcept override { return session_; }
  [[nodiscard]] const CommandSession& session() const noexcept override { return session_; }

  void refuse_input() override { refuse("ERR out of memory for the rest of the request"); }
  [[nodiscard]] std::int64_t silent_until_ms() const override;
  void refresh_client() override;

 private:
  bool execute_next() override;
  void set_limits() override;
  void begin_run() override { session_.begin_run(); }
  void end_run() override { session_.end_run(); }
  [[nodiscard]] std::size_t bytes_missing() const noexcept override {
    return parser_.bytes_missing();
  }
  void release_parser() override { parser_.release_memory(); }
  std::string refusal(const Error& error) override;

  void refuse(std::string_view error);
  [[nodiscard]] bool is_overlong() const noexcept;
  bool refuse_http(Arguments argv);

  Services& services_;
  RequestParser parser_;
  bool knows_client_ = true;  // it has given the password, or needs none
  CommandSession session_;
};

}  // namespace engram
