// SPDX-License-Identifier: Apache-2.0
// The strengths of the items of a collection; core/decay.h and core/trace.h say what they are. The
// rule: what is recorded of a strength is the trace that it gets, not what was done to it, so a
// replay may repeat it. A strength belongs to a slot: that of its key, or the one that a put of the
// key, which was recorded already, is about to make that.
//
// Where all items fade alike, a number for each is all there is, and the strongest is known. Items
// that fade in their own way have NaN for that number, and a trace besides.
#pragma once

#include <algorithm>
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
#include "core/trace.h"
#include "server/engine/key_hash.h"
#include "server/engine/trace_column.h"
#include "server/engine/trace_peak.h"

namespace engram {

/// What a write gives in strength, and when.
struct StrengthGain {
  double gain = 1;                         ///< positive, finite
  std::optional<std::int64_t> at_ms = {};  ///< the client's time, 0..kMaxDecayMs; none: the wall's
  std::int64_t wall_ms = 0;                ///< as the loop knows it
  bool adds = false;                       ///< a put adds to what its key has, and not to nothing
  FadeRule rule = {};                      ///< of a put; none: as its key has it, if it adds
};

/// What is done to a strength that there is.
struct StrengthEffect {
  double gain = 0;    ///< that is added; 0: none
  double factor = 1;  ///< where there is no gain: by which it is multiplied
  std::int64_t ms = 0;

  /// False if nothing changes.
  bool apply(const Decay& decay, Trace& trace) const;
};

/// Threads: the event loop's only, except trace(), log_strength(), greatest(), are_even() and what
/// StrengthBias asks, which any may.
class Strengths {
 public:
  explicit Strengths(const Decay& decay)
      : decay_(decay), traces_(decay_), peak_(decay_, items_, traces_) {}

  [[nodiscard]] const Decay& decay() const noexcept { return decay_; }

  /// The time of a write: the client's, or the wall's, which never falls behind an earlier write.
  [[nodiscard]] std::int64_t time_of(const StrengthGain& gain) const noexcept {
    return gain.at_ms ? *gain.at_ms : std::max(gain.wall_ms, last_ms_);
  }
  /// The same, of a write that is being recorded; one that changes nothing leaves no time behind.
  [[nodiscard]] std::int64_t take_time(const StrengthGain& gain) noexcept;
  /// The latest of all writes.
  [[nodiscard]] std::int64_t last_ms() const noexcept { return last_ms_; }
  void pass_time(std::int64_t ms) noexcept;

  /// Makes room for slots below `end`. Errors: kResourceExhausted.
  Status ensure(Slot end);
  /// Makes room for items with rules of their own, where all fade alike. Errors:
  /// kResourceExhausted.
  Status allow_rules();

  /// Gives a slot with room its strength; from then on it is an item.
  void set(Slot slot, const Trace& trace);
  /// It is an item no more. Who still meets it finds the strength that it had.
  void remove(Slot slot);

  // Of a slot that was given a strength.

  [[nodiscard]] Trace trace(Slot slot) const noexcept;
  /// ln s(ms).
  [[nodiscard]] double log_strength(Slot slot, std::int64_t ms) const noexcept;
  /// Never fades, and is not to be forgotten.
  [[nodiscard]] bool is_pinned(Slot slot) const noexcept { return trace(slot).is_pinned(); }

  /// The greatest ln s(ms) of all items; -infinity if there are none.
  [[nodiscard]] double greatest(std::int64_t ms) const;
  /// Whether all items are equally strong, and remain so until a write: then nothing ranks by it.
  [[nodiscard]] bool are_even() const noexcept { return are_even_.load(std::memory_order_acquire); }

  /// While a put of `key` into `slot` is under way, which may fail: remembers what was done to its
  /// strength.
  void note(std::string_view key, Slot slot, const StrengthEffect& effect);
  /// What was noted of that put; and forgets it.
  [[nodiscard]] std::vector<StrengthEffect> take_noted(std::string_view key, Slot slot);

  [[nodiscard]] std::size_t memory_bytes() const noexcept;

 private:
  friend class StrengthBias;

  static constexpr double kNone = -std::numeric_limits<double>::infinity();
  static constexpr std::size_t kBlock = 1024;  // slots

  /// The greatest level of some items, and how many of them have it.
  struct Greatest {
    double level = kNone;
    std::size_t holders = 0;
  };

  struct Noted {
    Slot slot;
    StrengthEffect effect;
  };

  // A level is ln s(ms) + shift(ms): of items that fade alike, what it is at any time.

  [[nodiscard]] double shift(std::int64_t ms) const noexcept { return decay_.log_gain(1, ms); }
  /// NaN: not without its trace.
  [[nodiscard]] double level(Slot slot) const noexcept {
    return levels_[slot].load(std::memory_order_acquire);
  }
  [[nodiscard]] double greatest_level(std::int64_t ms) const;

  [[nodiscard]] bool has_traces() const noexcept { return !decay_.fades_alike() || allows_rules_; }
  void note_level(Slot slot, double former, double now);
  [[nodiscard]] Greatest greatest_in(std::size_t block) const;
  void change_greatest(std::size_t block, const Greatest& now);
  void note_evenness() noexcept;

  const Decay decay_;
  Slot end_ = 0;                              // there is room below
  GrowingArray<std::atomic<double>> levels_;  // by slot
  SlotSet items_;
  // Of levels that are numbers:
  std::vector<Greatest> greatest_of_;  // by block of slots
  std::atomic<double> greatest_{kNone};
  std::size_t holders_ = 0;  // how many items have that
  // Of the other items:
  bool allows_rules_ = false;
  TraceColumn traces_;
  TracePeak peak_;
  std::atomic<std::size_t> own_count_{0};
  std::atomic<bool> are_even_{true};
  std::int64_t last_ms_ = 0;
  tsl::robin_map<std::string, std::vector<Noted>, KeyHash, std::equal_to<>> noted_;  // in order
};

/// Strengths as searches and recalls take them, relative to the greatest when this was made. Any
/// thread; the strengths outlive it.
class StrengthBias final : public Bias {
 public:
  /// at_ms: the time that the read is of. Where all items fade alike it makes no difference.
  StrengthBias(const Strengths& strengths, std::int64_t at_ms)
      : strengths_(strengths),
        ms_(at_ms),
        meets_traces_(!strengths.decay().fades_alike()),
        greatest_(strengths.greatest_level(at_ms)) {}

  void handicaps(std::span<const Slot> slots, std::span<double> nats) const noexcept override;
  [[nodiscard]] bool is_at_hand() const noexcept override { return !meets_traces_; }

 private:
  void take_levels(std::span<const Slot> slots, std::span<double> nats) const noexcept;
  [[nodiscard]] double handicap_of_own(Slot slot) const noexcept;

  const Strengths& strengths_;
  const std::int64_t ms_;
  const bool meets_traces_;  // often
  const double greatest_;
};

}  // namespace engram
