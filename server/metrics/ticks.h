// SPDX-License-Identifier: Apache-2.0
// A clock for short durations: the processor's counter where that can be trusted, so that a look is
// one instruction and takes a few nanoseconds; elsewhere std::chrono::steady_clock.
#pragma once

#include <cstdint>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace engram {

/// How ticks relate to time. Measured when the process starts, which takes a quarter of a
/// millisecond.
struct TickRate {
  bool has_counter;    ///< ticks are the processor's: Linux itself tells time by its counter
  double ns_per_tick;  ///< 1 without a counter
};

extern const TickRate tick_rate;

/// std::chrono::steady_clock in nanoseconds.
std::uint64_t steady_ns() noexcept;

/// A moment in ticks, which only ns_between() understands. Any thread.
inline std::uint64_t ticks_now() noexcept {
#if defined(__x86_64__)
  if (tick_rate.has_counter) [[likely]]
    return __rdtsc();
#endif
  return steady_ns();
}

/// Nanoseconds from one moment to a later one; 0 if it is not later, as two processors may see it.
inline std::uint64_t ns_between(std::uint64_t begin, std::uint64_t end) noexcept {
  if (end <= begin) return 0;
  // Signed: what the processor converts in one instruction.
  const auto ticks = static_cast<double>(static_cast<std::int64_t>(end - begin));
  return static_cast<std::uint64_t>(static_cast<std::int64_t>(ticks * tick_rate.ns_per_tick));
}

}  // namespace engram
