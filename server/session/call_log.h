// SPDX-License-Identifier: Apache-2.0
// What the commands of a session took, told to INFO, LATENCY and SLOWLOG.
//
// A command is timed from when it is taken up until its answer is there: for one that workers
// answer, that is the time in their queue as well. What its answer waits for after that, earlier
// answers or the journal, does not count, nor does a command whose client goes before.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "server/commands/context.h"
#include "server/commands/table.h"
#include "server/config/config.h"
#include "server/metrics/server_stats.h"
#include "server/metrics/ticks.h"

namespace engram {

/// Threads: the event loop's only.
class CallLog {
 public:
  /// Both outlive it.
  CallLog(Services& services, const Client& client) : services_(services), client_(client) {}

  /// Until end_run(), a command begins when the one before has ended, which spares a look at the
  /// clock. Brief ones that follow one of their name share one look, and its time.
  void begin_run() noexcept { lap_ = ticks_now(); }
  void end_run() {
    if (shared_ != 0) end_shared();
    run_of_ = kNoRun;
    lap_ = 0;
  }

  /// A command is taken up.
  void begin(const CommandTable::Resolution& command, Arguments argv) {
    is_sharing_ = command.number == run_of_ && command.spec != nullptr && shared_ < kMostShared &&
                  argv.size() <= 3 && argv.back().size() <= kMostSharedBytes;
    if (!is_sharing_) begin_alone(command, argv);
  }
  /// Its handler has returned; unless it was deferred, it is answered.
  void end(bool has_failed) {
    if (!is_sharing_) return end_alone(has_failed);
    ++shared_;
    if (has_failed) services_.stats.calls.count_failure(run_of_);
  }

  /// What was taken up last has no time of its own that ends now: it was refused, queued or
  /// deferred. The next one begins now. May be called without begin().
  void skip() {
    if (shared_ != 0) end_shared();
    run_of_ = kNoRun;
    if (lap_ != 0) lap_ = ticks_now();
  }

  /// It is answered later, in the place `sequence`. Those before have smaller ones, or are earlier
  /// steps of the same transaction, which have been answered.
  void defer(std::uint64_t sequence);
  /// Now it is.
  void complete(std::uint64_t sequence, bool has_failed);

 private:
  struct Call {
    const CommandSpec* spec = nullptr;
    CommandNumber number = 0;
    std::uint64_t begun = 0;
    Arguments argv = {};
  };
  static constexpr std::uint64_t kMostShared = 32;
  static constexpr std::size_t kMostSharedBytes = 1024;
  static constexpr CommandNumber kNoRun = CommandTable::kNoNumber + 1;
  struct Deferral {
    std::uint64_t sequence;
    const CommandSpec* spec;  // null: it has been answered
    CommandNumber number;
    std::uint64_t begun;
    KeptArguments arguments;
  };

  [[nodiscard]] bool is_slow(std::uint64_t ns) const noexcept {
    constexpr std::uint64_t kNsPerUs = 1000;
    const std::int64_t least_us = services_.config.slowlog_log_slower_than;
    return least_us >= 0 && ns >= static_cast<std::uint64_t>(least_us) * kNsPerUs;
  }
  void begin_alone(const CommandTable::Resolution& command, Arguments argv);
  void end_alone(bool has_failed);
  void end_shared();
  static KeptArguments keep_arguments(const CommandSpec& spec, Arguments argv);
  void log(std::uint64_t ns, const CommandSpec& spec, KeptArguments arguments);

  Services& services_;
  const Client& client_;
  std::uint64_t lap_ = 0;  // 0: commands come singly
  Call now_;
  bool is_deferred_ = false;
  bool is_sharing_ = false;         // what is executed shares its time with its neighbours
  CommandNumber run_of_ = kNoRun;   // brief commands of this number may share theirs
  std::uint64_t shared_ = 0;        // those that have ended since lap_
  std::vector<Deferral> deferred_;  // by sequence
  std::size_t answered_ = 0;        // at the front of deferred_
};

}  // namespace engram
