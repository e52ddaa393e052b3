// SPDX-License-Identifier: Apache-2.0
// A clock for durations that costs no more than an instruction where the processor has one: a
// command of half a microsecond is timed for a few nanoseconds.
#pragma once

#include <cstdint>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace engram {

/// How the processor's time stamp counter relates to time. Measured when the process starts.
struct TickRate {
  bool has_counter;    ///< which runs evenly on all processors: the system tells time by it, too
  double ns_per_tick;  ///< 1 without
};

extern const TickRate tick_rate;

/// std::chrono::steady_clock in nanoseconds.
std::uint64_t steady_ns() noexcept;

/// A moment, to be compared with others of this process. Any thread.
inline std::uint64_t ticks_now() noexcept {
#if defined(__x86_64__)
  if (tick_rate.has_counter) [[likely]]
    return __rdtsc();
#endif
  return steady_ns();
}

/// From one moment to a later one, in nanoseconds.
inline std::uint64_t ns_between(std::uint64_t begin, std::uint64_t end) noexcept {
  if (end <= begin) return 0;
  // Signed: what the processor converts in one instruction.
  const auto ticks = static_cast<double>(static_cast<std::int64_t>(end - begin));
  return static_cast<std::uint64_t>(static_cast<std::int64_t>(ticks * tick_rate.ns_per_tick));
}

}  // namespace engram
