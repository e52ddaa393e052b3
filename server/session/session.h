// SPDX-License-Identifier: Apache-2.0
// What a client is, whichever door it came through: who it says it is, the order of its commands
// and replies, which of them wait for the journal, and its transaction.
//
// The ordering rule: neighbouring commands of one kind (reads, or writes) may run in parallel, a
// change of kind waits for what is in flight, a transaction waits for everything and everything
// waits for it, and replies leave in the order of the commands. Sessions do not wait for each
// other, except that nobody writes while a transaction runs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "server/commands/client.h"
#include "server/commands/context.h"
#include "server/commands/table.h"
#include "server/session/reply_order.h"
#include "server/session/sessions.h"
#include "server/session/transaction.h"

namespace engram {

/// Threads: the event loop's only.
class Session {
 public:
  /// All outlive it.
  Session(Sessions& sessions, Services& services, ClientSink& sink);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  [[nodiscard]] ClientId id() const noexcept { return client_.id; }
  Client& client() noexcept { return client_; }
  [[nodiscard]] const Client& client() const noexcept { return client_; }

  /// Executes a command, whose reply goes to the sink now or later. False: nothing was done, it has
  /// to wait for those in flight; the sink is told when it is worth another try.
  bool start(Arguments argv);

  /// The same for a request that is no command of the table: `begin` gets the promise of its reply.
  bool start(CommandKind kind, const std::function<void(Deferred reply)>& begin);

  /// Answers an error to what could not be read as a command.
  void refuse(std::string_view error_reply);

  /// Whether the command that start() refused last may start now.
  [[nodiscard]] bool may_resume() const noexcept { return may_start(kind_); }

  /// Replies that are due, in bytes, as far as they are known.
  [[nodiscard]] std::size_t pending_bytes() const noexcept { return order_.bytes(); }
  /// No reply is due.
  [[nodiscard]] bool quiet() const noexcept { return order_.empty(); }
  /// A transaction runs, to its end, whether or not its client is there to see it.
  [[nodiscard]] bool runs_transaction() const noexcept { return transaction_.is_running(); }

  // What Sessions passes on.

  std::uint64_t defer(std::size_t expected_bytes);
  void complete(std::uint64_t sequence, std::string bytes);
  /// The place is not left before release().
  void hold(std::uint64_t sequence) { order_.hold(sequence, 0); }
  /// The place may be left; with an error, that takes the reply's place.
  void release(std::uint64_t sequence, const Error* error);
  void gate_opened();

 private:
  friend class Transaction;

  [[nodiscard]] bool may_start(CommandKind kind) const noexcept;
  [[nodiscard]] bool must_wait(CommandKind kind);
  /// The command that resolve() found is to be queued by the open transaction.
  [[nodiscard]] bool is_queued(const CommandTable::Resolution& resolution) const noexcept;
  void call(const CommandTable::Resolution& resolution, Arguments argv);
  void execute(const CommandTable::Resolution& resolution, Arguments argv, ReplyWriter& writer);
  void queue(const CommandTable::Resolution& resolution, Arguments argv, ReplyWriter& writer);
  [[nodiscard]] Status write_health(CommandKind kind) const;
  void hold_answer(std::uint64_t place, Lsn lsn, std::size_t bytes, std::string& answer);
  void advance_reply_mode() noexcept;

  Sessions& sessions_;
  Services& services_;
  ClientSink& sink_;
  Client client_;
  ReplyOrder order_;
  Transaction transaction_;
  CommandKind kind_ = CommandKind::kNeutral;  // of the command being executed, or refused last
  bool muted_ = false;                        // so is its reply
  bool executing_ = false;
  bool waits_for_gate_ = false;
};

}  // namespace engram
