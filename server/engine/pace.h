// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>

#include "server/metrics/ticks.h"
#include "server/runtime/worker_pool.h"

namespace engram {

/// How long the jobs of one kind take, by those before: long ones wait in a lane of their own, so
/// that short ones need not wait for them. Any thread.
class Pace {
 public:
  /// What a reader's next job is to wait in.
  [[nodiscard]] Lane lane() const noexcept {
    return recent_us_.load(std::memory_order_relaxed) < kLongUs ? Lane::kInteractive : Lane::kLong;
  }

  /// Times the job that runs while it lives.
  class Timer {
   public:
    explicit Timer(Pace& pace) noexcept : pace_(pace), begun_(ticks_now()) {}
    ~Timer() { pace_.add(ns_between(begun_, ticks_now())); }
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;

   private:
    Pace& pace_;
    const std::uint64_t begun_;
  };

 private:
  static constexpr std::int64_t kLongUs = 50'000;

  /// One long job makes those after it long; half as long ones, after some, do not.
  void add(std::uint64_t ns) noexcept {
    const auto us = static_cast<std::int64_t>(ns / 1000);
    const std::int64_t former = recent_us_.load(std::memory_order_relaxed);
    const std::int64_t recent = us > former / 2 ? us : former / 2;
    if (recent != former) recent_us_.store(recent, std::memory_order_relaxed);
  }

  std::atomic<std::int64_t> recent_us_{0};
};

}  // namespace engram
