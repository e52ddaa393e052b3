// SPDX-License-Identifier: Apache-2.0
#include "server/metrics/ticks.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <string_view>

namespace engram {
namespace {

#if defined(__x86_64__)

/// Whether Linux itself tells time by the counter: then it has found it even on all processors.
bool is_counter_trusted() noexcept {
  constexpr const char* kPath = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
  const int fd = ::open(kPath, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  std::array<char, 8> text{};
  const ssize_t got = ::read(fd, text.data(), text.size());
  ::close(fd);
  return got > 0 && std::string_view(text.data(), static_cast<std::size_t>(got)) == "tsc\n";
}

struct Moment {
  std::uint64_t ticks;
  std::uint64_t ns;
};

/// Both clocks at once: of some attempts the one that nothing came between.
Moment both_clocks() noexcept {
  constexpr int kAttempts = 8;
  Moment best{};
  std::uint64_t least = UINT64_MAX;
  for (int i = 0; i < kAttempts; ++i) {
    const std::uint64_t begun = __rdtsc();
    const std::uint64_t ns = steady_ns();
    const std::uint64_t took = __rdtsc() - begun;
    if (took >= least) continue;
    least = took;
    best = {begun + took / 2, ns};
  }
  return best;
}

TickRate measure() noexcept {
  if (!is_counter_trusted()) return {.has_counter = false, .ns_per_tick = 1};
  constexpr std::uint64_t kMeasuredNs = 250'000;  // 50 ns of doubt are 0.02 % of that
  const Moment begin = both_clocks();
  while (steady_ns() - begin.ns < kMeasuredNs) {
  }
  const Moment end = both_clocks();
  return {.has_counter = true,
          .ns_per_tick = static_cast<double>(end.ns - begin.ns) /
                         static_cast<double>(end.ticks - begin.ticks)};
}

#else

TickRate measure() noexcept {
  return {.has_counter = false, .ns_per_tick = 1};
}

#endif

}  // namespace

const TickRate tick_rate = measure();

std::uint64_t steady_ns() noexcept {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(now).count());
}

}  // namespace engram
