// SPDX-License-Identifier: Apache-2.0
// A session whose client sends commands of the RESP table, singly or in transactions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "server/commands/context.h"
#include "server/commands/table.h"
#include "server/session/call_log.h"
#include "server/session/session.h"
#include "server/session/transaction.h"

namespace engram {

/// Threads: the event loop's only.
class CommandSession final : public Session {
 public:
  /// All outlive it.
  CommandSession(Sessions& sessions, Services& services, ClientSink& sink);

  /// Executes a command, whose reply goes to the sink now or later. False: nothing was done, it has
  /// to wait for those in flight; the sink is told when it is worth another try.
  bool start(Arguments argv);

  /// CallLog::begin_run(), around commands that follow each other at once.
  void begin_run() noexcept { calls_.begin_run(); }
  void end_run() noexcept { calls_.end_run(); }

  /// Answers an error to what could not be read as a command.
  void refuse(std::string_view error_reply);

  /// Brings what client() tells of the transaction up to date.
  void refresh() { client_.watch_broken = transaction_.is_watch_broken(); }

  std::uint64_t defer(std::size_t expected_bytes) override;
  void extend(std::uint64_t sequence, std::string bytes) override;
  bool takes_part(std::uint64_t sequence, std::function<void()> resume) override;
  void complete(std::uint64_t sequence, std::string bytes) override;

 private:
  friend class Transaction;

  /// The command that was found is to be queued by the open transaction.
  [[nodiscard]] bool is_queued(const CommandTable::Resolution& resolution) const noexcept;
  /// It waits for the end of a pause.
  [[nodiscard]] bool is_paused(const CommandTable::Resolution& resolution) const noexcept;
  /// It may not be executed before the client has given the password.
  [[nodiscard]] bool is_locked_out(const CommandSpec& spec) const noexcept;
  /// A command that takes memory, with these arguments, is to be refused.
  [[nodiscard]] bool is_out_of_memory(Arguments argv);
  /// What became of a command.
  enum class Fate : std::uint8_t { kRejected, kQueued, kExecuted };

  void call(const CommandTable::Resolution& resolution, Arguments argv);
  Fate execute(const CommandTable::Resolution& resolution, Arguments argv, ReplyWriter& writer);
  void note(const CommandTable::Resolution& resolution, Fate fate, bool is_error);
  void show(const CommandSpec& spec, Arguments argv);
  void reject(std::string_view error, std::string_view name, ReplyWriter& writer);
  void queue(const CommandTable::Resolution& resolution, Arguments argv, ReplyWriter& writer);
  void hold_answer(std::uint64_t place, Lsn lsn, std::size_t bytes, std::string& answer);
  void advance_reply_mode() noexcept;

  Services& services_;
  CallLog calls_;
  Transaction transaction_;
};

}  // namespace engram
