// SPDX-License-Identifier: Apache-2.0
// MULTI ... EXEC of one session: commands are queued, then carried out one after the other, each
// after the reply to the one before, as a single frame of the journal.
//
// While a transaction runs nobody else writes (TransactionGate). One that concerns collections
// begins when the writes to them that are under way have ended. So what it records is whole, and
// nothing comes between its steps. One whose steps are all answered at once runs in one go, as in
// Redis, up to some thousands of steps. Otherwise the reads of other clients pass meanwhile, and
// may see a part of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/commands/context.h"
#include "server/commands/table.h"
#include "server/session/reply_sink.h"
#include "server/session/watched_keys.h"

namespace engram {

class CommandSession;

/// Threads: the event loop's only.
class Transaction final : public TransactionControl, private ReplySink {
 public:
  Transaction(CommandSession& session, Services& services);

  [[nodiscard]] bool is_open() const noexcept override { return open_; }
  void open() override;
  void discard() override;
  void execute(CommandContext& context) override;
  void watch(std::span<const std::string_view> keys) override;
  void unwatch() override { watched_.clear(); }
  [[nodiscard]] bool is_watch_broken() override { return watched_.any_changed(); }

  /// Whether EXEC would change something.
  [[nodiscard]] bool writes() const noexcept { return open_ && writes_; }

  /// Queues a command. False, and it is not, if the client has queued more than it may.
  [[nodiscard]] bool queue(const CommandTable::Resolution& resolution, Arguments argv);
  /// A command could not be queued: EXEC will refuse to carry out the others.
  void abort() noexcept { aborted_ = true; }

  /// A step is being executed, whose deferred reply is the transaction's.
  [[nodiscard]] bool is_in_step() const noexcept { return run_.has_value() && run_->in_step; }
  /// The step that was executed last answers later.
  void await_reply() noexcept { run_->awaits_reply = true; }
  /// A part of its reply.
  void extend_step(std::string_view bytes) { reply(bytes); }
  /// Its reply, or the last part of that.
  void complete_step(std::string_view bytes);

 private:
  struct Step {
    CommandTable::Resolution command;
    std::vector<std::string> words;
  };
  /// What execute() has begun.
  struct Run {
    std::vector<Step> steps;
    bool writes;
    bool takes_memory;
    bool was_aborted;
    std::size_t bytes;      // of the steps
    Deferred reply;         // to EXEC
    bool is_muted = false;  // the head of the reply
    std::string replies = {};
    bool is_too_long = false;  // the reply
    std::size_t next = 0;      // of steps
    bool in_step = false;
    bool awaits_reply = false;
  };

  void reply(std::string_view bytes) override;
  [[nodiscard]] bool some_step_writes() const;
  [[nodiscard]] bool concerns_collections() const;
  void begin();
  [[nodiscard]] std::string obstacle();
  void run_steps();
  [[nodiscard]] Status check_room_for(const Step& step) const;
  void run_step(const Step& step);
  void finish();
  void end(std::string reply, Lsn lsn);

  CommandSession& session_;
  Services& services_;
  WatchedKeys watched_;
  bool open_ = false;
  bool aborted_ = false;       // a command could not be queued
  bool writes_ = false;        // a command that writes is queued
  bool takes_memory_ = false;  // one that is refused when memory is short
  std::vector<Step> queued_;
  std::size_t queued_bytes_ = 0;
  std::optional<Run> run_;
};

}  // namespace engram
