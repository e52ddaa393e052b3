// SPDX-License-Identifier: Apache-2.0
// Durations, or any other counts, as a histogram of log-linear buckets: 64 steps to each power of
// two (the layout of HdrHistogram, Tene 2012). A bucket is at most 1/64 of its values wide and is
// told by its middle, so a quantile is within 0.8 % of the value of that rank.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace engram {

/// Threads: any, all members, without a lock. Who reads while others record gets a count of some
/// moment for each bucket, not one moment for all.
class Histogram {
 public:
  /// Values beyond count as this one: in nanoseconds, 73 minutes.
  static constexpr std::uint64_t kMost = (std::uint64_t{1} << 42) - 1;

  Histogram() = default;
  ~Histogram();
  Histogram(const Histogram&) = delete;
  Histogram& operator=(const Histogram&) = delete;

  /// Counts `value`, `times` times. Takes memory for a power of two when it is first met, half a
  /// kilobyte; without that much it counts nothing.
  void record(std::uint64_t value, std::uint64_t times = 1) noexcept {
    std::atomic<std::uint64_t>* const count = find_count(value);
    if (count == nullptr) return;
    count->fetch_add(times, std::memory_order_relaxed);
    sum_.fetch_add(value * times, std::memory_order_relaxed);
  }

  /// The same where only one thread ever records: it spares the processor's locks.
  void record_alone(std::uint64_t value, std::uint64_t times = 1) noexcept {
    std::atomic<std::uint64_t>* const count = find_count(value);
    if (count == nullptr) return;
    const auto add = [](std::atomic<std::uint64_t>& number, std::uint64_t amount) {
      number.store(number.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
    };
    add(*count, times);
    add(sum_, value * times);
  }

  /// How many values were counted.
  [[nodiscard]] std::uint64_t count() const noexcept;
  /// What they are together.
  [[nodiscard]] std::uint64_t sum() const noexcept { return sum_.load(std::memory_order_relaxed); }

  /// The value that a share of all is not above, 0 to 1, within 0.8 %; 0 if there is none.
  [[nodiscard]] double quantile(double share) const noexcept;

  /// Adds what `other` has counted.
  void add(const Histogram& other) noexcept;

  /// Forgets what was counted and keeps the memory.
  void reset() noexcept;

  [[nodiscard]] std::size_t memory_bytes() const noexcept;

  /// The number of the bucket that counts `value`; they ascend.
  static constexpr std::size_t bucket_of(std::uint64_t value) noexcept {
    if (value < kSteps) return value;
    if (value > kMost) value = kMost;
    const auto shift = static_cast<unsigned>(std::bit_width(value)) - kStepBits - 1;
    return (shift * kSteps) + (value >> shift);
  }
  /// The least value that a bucket counts, and the first beyond it.
  static constexpr std::uint64_t begin_of(std::size_t bucket) noexcept {
    if (bucket < kSteps) return bucket;
    const std::size_t shift = (bucket / kSteps) - 1;
    return (bucket % kSteps + kSteps) << shift;
  }
  static constexpr std::uint64_t end_of(std::size_t bucket) noexcept {
    return begin_of(bucket + 1);
  }

  /// Calls visit(bucket, count) for those that have counted something, ascending.
  template <class Visit>
  void for_each_bucket(Visit&& visit) const {
    for (std::size_t row = 0; row < kRows; ++row) {
      const Row* const counts = rows_[row].load(std::memory_order_acquire);
      if (counts == nullptr) continue;
      for (std::size_t i = 0; i < kSteps; ++i) {
        const std::uint64_t count = (*counts)[i].load(std::memory_order_relaxed);
        if (count != 0) visit(row * kSteps + i, count);
      }
    }
  }

 private:
  static constexpr unsigned kStepBits = 6;
  static constexpr std::size_t kSteps = std::size_t{1} << kStepBits;
  static constexpr std::size_t kRows = 42 - kStepBits + 1;  // powers of two, the first steps one

  using Row = std::array<std::atomic<std::uint64_t>, kSteps>;

  std::atomic<std::uint64_t>* find_count(std::uint64_t value) noexcept {
    const std::size_t bucket = bucket_of(value);
    Row* row = rows_[bucket / kSteps].load(std::memory_order_acquire);
    if (row == nullptr) {
      row = add_row(bucket / kSteps);
      if (row == nullptr) return nullptr;
    }
    return &(*row)[bucket % kSteps];
  }
  Row* add_row(std::size_t number) noexcept;

  std::array<std::atomic<Row*>, kRows> rows_{};  // null: nothing was counted there
  std::atomic<std::uint64_t> sum_{0};
};

/// A histogram that takes no memory before it has something to count. Threads: as Histogram.
class LazyHistogram {
 public:
  LazyHistogram() = default;
  ~LazyHistogram();
  LazyHistogram(const LazyHistogram&) = delete;
  LazyHistogram& operator=(const LazyHistogram&) = delete;

  void record(std::uint64_t value, std::uint64_t times = 1) noexcept {
    if (Histogram* const histogram = get_or_make()) histogram->record(value, times);
  }
  void record_alone(std::uint64_t value, std::uint64_t times = 1) noexcept {
    if (Histogram* const histogram = get_or_make()) histogram->record_alone(value, times);
  }
  void reset() noexcept {
    if (Histogram* const histogram = histogram_.load(std::memory_order_acquire)) histogram->reset();
  }

  /// As reset(), and gives the memory back. While nobody else uses it.
  void release() noexcept;

  /// Null as long as nothing was recorded; what it is once, it remains until release().
  [[nodiscard]] const Histogram* get() const noexcept {
    return histogram_.load(std::memory_order_acquire);
  }

 private:
  Histogram* get_or_make() noexcept {
    Histogram* const histogram = histogram_.load(std::memory_order_acquire);
    return histogram != nullptr ? histogram : make();
  }
  Histogram* make() noexcept;

  std::atomic<Histogram*> histogram_{nullptr};
};

}  // namespace engram
