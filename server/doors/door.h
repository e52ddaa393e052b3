// SPDX-License-Identifier: Apache-2.0
// What every door has: bytes of a client to requests of its session, and replies to bytes. A door
// knows no socket: its owner fills input_room() and sends unsent().
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
#include "server/session/session.h"

namespace engram {

/// Threads: the event loop's only.
class Door : protected ClientSink {
 public:
  /// `progressed` is called when execute() or sending would get on without new input.
  explicit Door(std::function<void()> progressed) : progressed_(std::move(progressed)) {}

  virtual Session& session() noexcept = 0;
  [[nodiscard]] virtual const Session& session() const noexcept = 0;

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
  /// There is no memory for the rest of a request: answers that. Nothing more is executed.
  virtual void refuse_input() = 0;
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
  /// Nobody waits for anything: neither a request nor the peer.
  [[nodiscard]] bool quiet() const noexcept { return session().quiet() && unsent().empty(); }

  /// The time, in unix milliseconds, at which a client that stays silent is to be dropped; 0:
  /// never.
  [[nodiscard]] virtual std::int64_t silent_until_ms() const = 0;

  /// Gives back the memory of buffers. To be called while it is quiet(). Returns how many bytes.
  std::size_t release_buffers();

  /// Brings what the session's client() tells up to date.
  virtual void refresh_client();

 protected:
  enum class Stall : std::uint8_t { kNone, kOrder, kOutput };

  /// Executes one request. False if nothing more can be done for now; stall_ says why a whole
  /// request is not executed.
  virtual bool execute_next() = 0;
  /// What the parser has to know of the client, before a turn's requests.
  virtual void set_limits() {}
  /// Around a turn's requests.
  virtual void begin_run() {}
  virtual void end_run() {}
  /// Something is there that execute_next() has not looked at.
  [[nodiscard]] virtual bool has_more() const noexcept { return input_.size() != 0; }
  /// What the request that arrives is known to lack.
  [[nodiscard]] virtual std::size_t bytes_missing() const noexcept { return 0; }
  virtual void release_parser() {}

  void reply(std::string_view bytes) override { last_output().append(bytes); }
  void reply_owned(std::string&& bytes) override;
  std::string* buffer() override { return &last_output(); }
  [[nodiscard]] bool is_full() const override;
  [[nodiscard]] std::size_t unsent_bytes() const noexcept override;
  void progressed() override { progressed_(); }

  [[nodiscard]] bool output_full() const noexcept;

  ByteBuffer input_;
  Stall stall_ = Stall::kNone;  // why a whole request is not executed

 private:
  std::string& last_output() noexcept { return behind_.empty() ? output_ : behind_.back(); }

  const std::function<void()> progressed_;
  std::string output_;
  std::list<std::string> behind_;  // large replies that came after output_, which is not empty then
  std::size_t sent_ = 0;           // of output_
  bool more_ = false;              // the turn's share ended before the input did
  bool input_ended_ = false;
  bool abandoned_ = false;
};

}  // namespace engram
