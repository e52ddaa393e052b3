// SPDX-License-Identifier: Apache-2.0
#include "server/hosts/cli/progress.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <utility>

#include "server/hosts/cli/output.h"

namespace engram {
namespace {

constexpr std::size_t kBarWidth = 30;
constexpr std::chrono::milliseconds kEvery{100};

std::atomic<bool> interrupted = false;
static_assert(std::atomic<bool>::is_always_lock_free);

extern "C" void note_interrupt(int) {
  interrupted.store(true);
}

/// 83 as 1:23.
std::string clock_text(double seconds) {
  const auto whole = static_cast<std::uint64_t>(seconds);
  const std::uint64_t rest = whole % 60;
  return std::to_string(whole / 60) + (rest < 10 ? ":0" : ":") + std::to_string(rest);
}

std::string rate_text(std::uint64_t rows, double seconds) {
  return grouped(static_cast<std::uint64_t>(static_cast<double>(rows) / std::max(seconds, 1e-3))) +
         "/s";
}

double seconds_of(std::chrono::steady_clock::duration time) {
  return std::chrono::duration<double>(time).count();
}

}  // namespace

Progress::Progress(std::string what, bool is_quiet)
    : what_(std::move(what)), is_quiet_(is_quiet), draws_(!is_quiet && ::isatty(STDERR_FILENO)) {}

void Progress::show(std::uint64_t rows, double share) {
  const Clock::time_point now = Clock::now();
  if (!draws_ || now < next_) return;
  next_ = now + kEvery;
  const double seconds = seconds_of(now - begin_);
  share = std::clamp(share, 0.0, 1.0);
  const auto full = static_cast<std::size_t>(share * kBarWidth);
  std::string line = "\r" + what_ + " [" + std::string(full, '#') +
                     std::string(kBarWidth - full, ' ') + "] " +
                     std::to_string(static_cast<int>(share * 100)) + " %  " + grouped(rows) + "  " +
                     rate_text(rows, seconds);
  if (share > 0) line += "  " + clock_text(seconds / share - seconds) + " left";
  line += "\x1b[K";
  std::fputs(line.c_str(), stderr);
}

void Progress::end(std::uint64_t rows) {
  if (is_quiet_) return;
  const double seconds = seconds_of(Clock::now() - begin_);
  std::array<char, 32> taken{};
  std::snprintf(taken.data(), taken.size(), "%.2f s", seconds);
  std::fprintf(stderr, "%s%s: %s vectors in %s, %s\n", draws_ ? "\r\x1b[K" : "", what_.c_str(),
               grouped(rows).c_str(), taken.data(), rate_text(rows, seconds).c_str());
}

void note_interrupts() {
  struct sigaction action {};
  action.sa_handler = note_interrupt;
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}

bool is_interrupted() noexcept {
  return interrupted.load();
}

}  // namespace engram
