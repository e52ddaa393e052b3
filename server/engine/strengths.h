// SPDX-License-Identifier: Apache-2.0
// The strengths of the items of a collection; core/decay.h says what they are. The rule: what is
// recorded of a strength is the value that it gets, not what was done to it, so a replay may repeat
// it. A strength belongs to a slot: that of its key, or the one that a put of the key, which was
// recorded already, is about to make that.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <tsl/robin_map.h>

#include "core/bias.h"
#include "core/decay.h"
#include "core/growing_array.h"
#include "core/result.h"
#include "core/slot_set.h"
#include "server/engine/key_hash.h"

namespace engram {

/// What a write gives in strength, and when.
struct StrengthGain {
  double gain = 1;                         ///< positive, finite
  std::optional<std::int64_t> at_ms = {};  ///< the client's time, 0..kMaxDecayMs; none: the wall's
  std::int64_t wall_ms = 0;                ///< as the loop knows it
  bool adds = false;                       ///< a put adds to what its key has, and not to nothing
};

/// Threads: the event loop's only, except log_strength() and greatest(), which any may read.
class Strengths {
 public:
  explicit Strengths(const Decay& decay) : decay_(decay) {}

  [[nodiscard]] const Decay& decay() const noexcept { return decay_; }

  /// The time of a write: the client's, or the wall's, which never falls behind an earlier write.
  [[nodiscard]] std::int64_t take_time(const StrengthGain& gain) noexcept;
  /// The latest of all writes.
  [[nodiscard]] std::int64_t last_ms() const noexcept { return last_ms_; }
  void pass_time(std::int64_t ms) noexcept;

  /// Makes room for slots below `end`. Errors: kResourceExhausted.
  Status ensure(Slot end);

  /// Gives a slot with room its strength; from then on it is an item.
  void set(Slot slot, double log_strength);
  /// It is an item no more. Who still meets it finds the strength that it had.
  void remove(Slot slot);

  /// Of a slot that has one.
  [[nodiscard]] double log_strength(Slot slot) const noexcept {
    return column_[slot].load(std::memory_order_relaxed);
  }
  /// Of all items; -infinity if there are none.
  [[nodiscard]] double greatest() const noexcept {
    return greatest_.load(std::memory_order_relaxed);
  }

  /// A write to `key` was recorded that will make `slot` its place, kNoSlot: none.
  void begin_write(std::string_view key, Slot slot);
  /// It was carried out, or failed.
  void end_write(std::string_view key);
  /// Where the last write that was recorded and is not carried out puts `key`; nothing if there is
  /// none.
  [[nodiscard]] std::optional<Slot> pending(std::string_view key) const;

  [[nodiscard]] std::size_t memory_bytes() const noexcept;

 private:
  static constexpr double kNone = -std::numeric_limits<double>::infinity();
  static constexpr std::size_t kBlock = 1024;  // slots

  struct Pending {
    Slot slot;
    std::size_t writes;
  };

  void find_greatest();
  void find_greatest_of(std::size_t block);

  const Decay decay_;
  GrowingArray<std::atomic<double>> column_;  // by slot
  SlotSet items_;
  std::vector<double> greatest_of_;  // by block of slots
  std::atomic<double> greatest_{kNone};
  std::int64_t last_ms_ = 0;
  tsl::robin_map<std::string, Pending, KeyHash, std::equal_to<>> pending_;
};

/// Strengths as searches and recalls take them, relative to the greatest when this was made. Any
/// thread; the strengths outlive it.
class StrengthBias final : public Bias {
 public:
  /// at_ms: the time that the read is of. Where all items fade alike it makes no difference.
  StrengthBias(const Strengths& strengths, [[maybe_unused]] std::int64_t at_ms) noexcept
      : strengths_(strengths), greatest_(strengths.greatest()) {}

  void handicaps(std::span<const Slot> slots, std::span<double> nats) const noexcept override;

 private:
  const Strengths& strengths_;
  const double greatest_;
};

}  // namespace engram
