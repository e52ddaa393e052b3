// SPDX-License-Identifier: Apache-2.0
// Bytes of a RESP client to commands of a session, and replies to bytes. It knows no socket: its
// owner fills input_room() and sends unsent().
//
// Three things stop it from executing: an incomplete request, the ordering rule of the session, and
// unsent replies beyond a bound. What is not executed stays in the input buffer, and when that is
// full as well, wants_input() says so: the client is slowed down by its own TCP window, and memory
// stays bounded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <span>
#include <string>
#include <string_view>

#include "server/net/byte_buffer.h"
#include "server/resp/parser.h"
#include "server/session/command_session.h"

namespace engram {

/// Threads: the event loop's only.
class RespDoor final : private ClientSink {
 public:
  /// `progressed` is called when execute() or sending would get on without new input. All outlive
  /// it.
  RespDoor(Sessions& sessions, Services& services, std::function<void()> progressed);

  Session& session() noexcept { return session_; }
  [[nodiscard]] const Session& session() const noexcept { return session_; }

  /// Input is worth waiting for.
  [[nodiscard]] bool wants_input() const noexcept;
  /// Input is worth taking in this turn: less is there than may be read ahead of what cannot be
  /// executed yet.
  [[nodiscard]] bool takes_input() const noexcept;
  /// Room for input; empty if memory ran out.
  [[nodiscard]] std::span<char> input_room();
  /// So many bytes of input_room() have been filled.
  void add_input(std::size_t bytes) noexcept { input_.commit(bytes); }
  /// Bytes that were added and not yet executed.
  [[nodiscard]] std::size_t input_size() const noexcept { return input_.size(); }
  /// No more input will come.
  void end_input() noexcept { input_ended_ = true; }
  [[nodiscard]] bool input_has_ended() const noexcept { return input_ended_; }
  /// Answers `error`, a whole error line, to input that is not taken. Nothing more is executed.
  void refuse(std::string_view error);
  /// Nothing more is executed or sent: the peer has gone, or is to go.
  void abandon() noexcept { abandoned_ = true; }
  [[nodiscard]] bool is_abandoned() const noexcept { return abandoned_; }

  /// Executes what may be executed now, at most one turn's share.
  void execute();
  /// Another execute() would get on without a new event.
  [[nodiscard]] bool can_continue() const noexcept;

  /// What is to be sent next; empty if nothing is.
  [[nodiscard]] std::string_view unsent() const noexcept {
    return std::string_view(output_).substr(sent_);
  }
  /// So many of the unsent bytes have been taken.
  void mark_sent(std::size_t bytes);

  /// It was abandoned, or its end was reached and everything that was due has been sent.
  [[nodiscard]] bool finished() const noexcept;
  /// Nobody waits for anything: neither a command nor the peer.
  [[nodiscard]] bool quiet() const noexcept { return session_.quiet() && unsent().empty(); }

  /// Gives back the memory of buffers. To be called while it is quiet(). Returns how many bytes.
  std::size_t release_buffers();

  /// Brings what the session's client() tells up to date.
  void refresh_client();

 private:
  enum class Stall : std::uint8_t { kNone, kOrder, kOutput };

  void reply(std::string_view bytes) override { last_output().append(bytes); }
  void reply_owned(std::string&& bytes) override;
  std::string* buffer() override { return &last_output(); }
  [[nodiscard]] bool is_full() const override;
  std::string refusal(const Error& error) override;
  void progressed() override { progressed_(); }

  std::string& last_output() noexcept { return behind_.empty() ? output_ : behind_.back(); }
  [[nodiscard]] std::size_t unsent_bytes() const noexcept;
  [[nodiscard]] bool output_full() const noexcept;
  bool execute_next();
  [[nodiscard]] bool is_overlong() const noexcept;
  void set_limits();
  bool refuse_http(Arguments argv);

  Services& services_;
  const std::function<void()> progressed_;
  ByteBuffer input_;
  RequestParser parser_;
  std::string output_;
  std::list<std::string> behind_;  // large replies that came after output_, which is not empty then
  std::size_t sent_ = 0;           // of output_
  Stall stall_ = Stall::kNone;     // why a whole request is not executed
  bool more_ = false;              // the turn's share ended before the input did
  bool knows_client_ = true;       // it has given the password, or needs none
  bool input_ended_ = false;
  bool abandoned_ = false;
  CommandSession session_;
};

}  // namespace engram
