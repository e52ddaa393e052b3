// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <utility>

namespace engram {

/// Whether the process uses too much memory, asked before each command that takes some. To measure
/// costs some microseconds, so what such commands bring is added up in between. Threads: one.
class MemoryGauge {
 public:
  /// `measure` returns the bytes in use.
  explicit MemoryGauge(std::function<std::size_t()> measure) : measure_(std::move(measure)) {}

  /// More than `most` bytes are in use; `coming`: what a command is about to add.
  [[nodiscard]] bool exceeds(std::size_t most, std::size_t coming) {
    constexpr std::chrono::milliseconds kFresh{10};
    constexpr std::chrono::milliseconds kLeastPause{1};  // while it exceeds
    const auto now = Clock::now();
    const auto age = now - measured_at_;
    coming_ += coming;
    if (measured_ > most && age < kLeastPause) return true;
    if (measured_ + coming_ <= most && age < kFresh) return false;
    measured_ = measure_();
    measured_at_ = now;
    coming_ = 0;
    return measured_ > most;
  }

 private:
  using Clock = std::chrono::steady_clock;

  const std::function<std::size_t()> measure_;
  std::size_t measured_ = 0;
  std::size_t coming_ = 0;  // since
  Clock::time_point measured_at_{};
};

}  // namespace engram
