// SPDX-License-Identifier: Apache-2.0
// What is done with an index, and how long it takes.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "server/metrics/histogram.h"
#include "server/metrics/ticks.h"

namespace engram {

enum class IndexWork : std::uint8_t { kSearch, kRecall, kInsert, kErase };
inline constexpr std::size_t kIndexWorks = 4;

/// Threads: any, without a lock, except where a member says otherwise.
class IndexSeries {
 public:
  /// `all`, which outlives the records, counts what this one does, too; null: nothing does.
  explicit IndexSeries(IndexSeries* all = nullptr) noexcept : all_(all) {}

  /// `times` pieces of work took `ns` nanoseconds each.
  void record(IndexWork work, std::uint64_t ns, std::uint64_t times = 1) noexcept {
    durations_[static_cast<std::size_t>(work)].record(ns, times);
    if (all_ != nullptr) all_->record(work, ns, times);
  }
  /// Null if no such work was done.
  [[nodiscard]] const Histogram* durations(IndexWork work) const noexcept {
    return durations_[static_cast<std::size_t>(work)].get();
  }

  /// Bytes of the index's own structure when it was last written to.
  void set_structure_bytes(std::size_t bytes) noexcept {
    structure_bytes_.store(bytes, std::memory_order_relaxed);
  }
  [[nodiscard]] std::size_t structure_bytes() const noexcept {
    return structure_bytes_.load(std::memory_order_relaxed);
  }

  /// Forgets what was done before, and counts for `all` from now on. While nobody uses it.
  void restart(IndexSeries* all) noexcept {
    for (LazyHistogram& each : durations_) each.release();
    all_ = all;
  }

 private:
  std::array<LazyHistogram, kIndexWorks> durations_;
  std::atomic<std::size_t> structure_bytes_{0};
  IndexSeries* all_;
};

/// Records work while it lives: `times` pieces, each of which took its share.
class IndexWorkTimer {
 public:
  IndexWorkTimer(IndexSeries& series, IndexWork work, std::uint64_t times = 1) noexcept
      : series_(series), work_(work), times_(times) {}
  ~IndexWorkTimer() { series_.record(work_, ns_between(begun_, ticks_now()) / times_, times_); }
  IndexWorkTimer(const IndexWorkTimer&) = delete;
  IndexWorkTimer& operator=(const IndexWorkTimer&) = delete;

 private:
  IndexSeries& series_;
  const IndexWork work_;
  const std::uint64_t times_;
  const std::uint64_t begun_ = ticks_now();
};

}  // namespace engram
