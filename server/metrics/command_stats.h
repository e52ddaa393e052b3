// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "server/metrics/histogram.h"

namespace engram {

/// Which command or subcommand: numbers from 0 on, which the table of commands gives.
using CommandNumber = std::uint16_t;

/// What is counted of one. A command that is answered later is counted when it is, with all of the
/// time until then.
struct CommandStat {
  std::uint64_t calls = 0;
  std::uint64_t ns = 0;        ///< of all calls
  std::uint64_t rejected = 0;  ///< not begun: arguments, password, memory, disk
  std::uint64_t failed = 0;    ///< begun, and answered with an error
  LazyHistogram durations;     ///< in nanoseconds; any thread may read it

  [[nodiscard]] bool is_empty() const noexcept {
    return calls == 0 && rejected == 0 && failed == 0;
  }
};

/// Of every command. Threads: one, but for what says otherwise.
class CommandStats {
 public:
  static constexpr std::size_t kMost = 256;

  void count_call(CommandNumber number, std::uint64_t ns, bool has_failed,
                  bool is_tracked) noexcept {
    CommandStat& stat = stats_[number];
    ++stat.calls;
    stat.ns += ns;
    if (has_failed) ++stat.failed;
    if (is_tracked) stat.durations.record_alone(ns);
  }
  /// `calls`, at least one, took `ns` together.
  void count_calls(CommandNumber number, std::uint64_t ns, std::uint64_t calls,
                   bool is_tracked) noexcept {
    CommandStat& stat = stats_[number];
    stat.calls += calls;
    stat.ns += ns;
    if (is_tracked) stat.durations.record_alone(ns / calls, calls);
  }
  /// One of those that are counted by count_calls() has failed.
  void count_failure(CommandNumber number) noexcept { ++stats_[number].failed; }
  void count_rejection(CommandNumber number) noexcept { ++stats_[number].rejected; }

  [[nodiscard]] const CommandStat& operator[](CommandNumber number) const noexcept {
    return stats_[number];
  }

  void reset() noexcept {
    for (CommandStat& stat : stats_) {
      stat.calls = stat.ns = stat.rejected = stat.failed = 0;
      stat.durations.reset();
    }
  }

 private:
  std::array<CommandStat, kMost> stats_;
};

}  // namespace engram
