// SPDX-License-Identifier: Apache-2.0
// One RESP connection: received bytes become commands, commands become replies in their order.
//
// Three things stop it from executing: an incomplete request, the ordering rule (the next command
// is of another kind than those in flight), and unsent replies beyond a bound. What is not executed
// stays in the input buffer, and when that is full as well, the socket is no longer read: the
// client is slowed down by its own TCP window, and memory stays bounded.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "server/commands/client.h"
#include "server/commands/context.h"
#include "server/commands/table.h"
#include "server/net/byte_buffer.h"
#include "server/net/poller.h"
#include "server/net/unique_fd.h"
#include "server/resp/parser.h"

namespace engram {

/// Threads: the event loop's only.
class Connection {
 public:
  /// `fd` is a connected, non-blocking socket.
  Connection(ClientId id, UniqueFd fd, Services& services);

  [[nodiscard]] int fd() const noexcept { return fd_.get(); }
  Client& client() noexcept { return client_; }

  /// Takes what has arrived, at most one buffer, without executing anything.
  void receive();

  /// Executes what may be executed now, at most one turn's share.
  void execute();

  /// Sends what the socket takes.
  void send();

  /// Another execute() would get on without a new event.
  [[nodiscard]] bool can_continue() const noexcept;

  /// What the poller should watch for now.
  [[nodiscard]] Interest wanted_interest() const noexcept;

  /// It failed, or its end was reached and everything that was due has been sent.
  [[nodiscard]] bool finished() const noexcept;
  void abandon() noexcept { failed_ = true; }

  /// As FrontEnd::defer_reply() and FrontEnd::complete_reply().
  std::uint64_t defer(std::size_t expected_bytes);
  void complete(std::uint64_t sequence, std::string bytes);

  /// As FrontEnd::hold_reply(): the place is not left before release().
  void hold(std::uint64_t sequence);
  /// The place may be left; with an error line, that takes the reply's place.
  void release(std::uint64_t sequence, std::string_view error);

  /// Nobody waits for anything: neither a command nor the socket.
  [[nodiscard]] bool quiet() const noexcept { return pending_.empty() && unsent() == 0; }

  /// Brings the sizes that client() tells up to date.
  void refresh_sizes() noexcept;

  Interest watched;     ///< what the poller has been told
  bool queued = false;  ///< the server will look at it in this turn

 private:
  /// A reply that was promised, and the replies of the commands after it up to the next such.
  struct Pending {
    CommandKind kind;
    bool muted;
    std::size_t expected_bytes;
    bool answered = false;
    bool held = false;           // until the journal has its change
    std::size_t held_bytes = 0;  // which the journal may have in memory until then
    std::string reply = {};
    std::string error = {};  // takes the reply's place
    std::string following = {};
  };
  enum class Stall : std::uint8_t { kNone, kOrder, kOutput };

  [[nodiscard]] std::size_t unsent() const noexcept { return output_.size() - sent_; }
  [[nodiscard]] bool output_full() const noexcept;
  [[nodiscard]] bool may_start(CommandKind kind) const noexcept;
  bool execute_next();
  void refuse_protocol_error();
  bool start(Arguments argv);
  void call(const CommandTable::Resolution& resolution, Arguments argv);
  [[nodiscard]] Status write_health() const;
  void hold_answer(std::uint64_t place, Lsn lsn, std::size_t bytes, std::string& answer);
  void write_reply(std::string_view bytes);
  void advance_reply_mode() noexcept;
  void release_ready();

  const UniqueFd fd_;
  Services& services_;
  Client client_;
  ByteBuffer input_;
  RequestParser parser_;
  std::string output_;
  std::size_t sent_ = 0;  // of output_
  std::deque<Pending> pending_;
  std::size_t pending_bytes_ = 0;               // of pending_: replies, those expected, those held
  std::uint64_t first_pending_ = 0;             // sequence number of pending_.front()
  std::array<std::size_t, 3> unanswered_ = {};  // of pending_, by CommandKind
  CommandKind kind_ = CommandKind::kNeutral;    // of the command being executed, or stalled
  bool muted_ = false;                          // so is its reply
  bool keeps_back_ = false;                     // it may have to be held: nothing is released yet
  Stall stall_ = Stall::kNone;                  // why a whole request is not executed
  bool more_ = false;                           // the turn's share ended before the input did
  bool input_ended_ = false;
  bool failed_ = false;
};

}  // namespace engram
