// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

#include "server/metrics/command_stats.h"
#include "server/metrics/error_counts.h"
#include "server/metrics/slow_log.h"

namespace engram {

/// What INFO tells about the process. Threads: the event loop's only.
struct ServerStats {
  std::int64_t started_ms = 0;  ///< unix time
  std::uint64_t connections = 0;
  std::uint64_t rejected_connections = 0;
  std::uint64_t commands = 0;
  std::uint64_t commands_per_second = 0;
  std::uint64_t input_bytes = 0;
  std::uint64_t output_bytes = 0;
  std::uint64_t peak_memory_bytes = 0;
  std::uint64_t error_replies = 0;
  CommandStats calls;
  ErrorCounts errors;
  SlowLog slow_log;

  /// Counts an error reply: "-ERR ...".
  void count_error(std::string_view reply) {
    ++error_replies;
    errors.add(reply);
  }

  /// CONFIG RESETSTAT: forgets what is counted, keeps what is a state.
  void reset() noexcept {
    connections = rejected_connections = commands = commands_per_second = 0;
    input_bytes = output_bytes = error_replies = 0;
    calls.reset();
    errors.reset();
  }
};

}  // namespace engram
