// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <mutex>
#include <optional>
#include <vector>

#include "core/decay.h"
#include "core/growing_array.h"
#include "core/result.h"
#include "core/slot.h"
#include "core/slot_set.h"
#include "core/trace.h"
#include "server/engine/trace_column.h"

namespace engram {

/// Finds the strongest of traces that fade each in its own way, exactly, as of any time. Slots are
/// looked at by the block: no strength rises with time, so what the strongest of a block once was
/// bounds what it is later, and a trace that is no weaker than any of the block bounds it at all
/// times. Few blocks can have the strongest of all, and a block that was not written to is seldom
/// looked at again.
///
/// Threads: greatest() any; the others one writer's only, who never waits.
class TracePeak {
 public:
  static constexpr double kNone = -std::numeric_limits<double>::infinity();

  /// Of the slots in `items` whose trace is not of TraceKind::kLevel. All of it outlives this.
  TracePeak(const Decay& decay, const SlotSet& items, const TraceColumn& traces)
      : decay_(decay), items_(items), traces_(traces) {}

  /// Makes room for slots below `end`. Errors: kResourceExhausted.
  Status ensure(Slot end) { return versions_.ensure(end / kBlock + 1); }
  /// The trace of a slot with room has changed, or whether it is an item.
  void note(Slot slot) noexcept;

  /// The greatest ln s(ms), kNone if there is no item.
  [[nodiscard]] double greatest(std::int64_t ms) const;

  [[nodiscard]] std::size_t memory_bytes() const noexcept { return versions_.ready_bytes(); }

 private:
  static constexpr std::size_t kBlock = 1024;  // slots

  /// What is known of a block.
  struct Block {
    std::uint64_t version = kNever;  // what follows is of
    std::int64_t ms = 0;
    double greatest = kNone;                    // at that time
    std::optional<Trace> cover = std::nullopt;  // no weaker than any from then on, if there is one
  };
  static constexpr std::uint64_t kNever = ~std::uint64_t{0};

  [[nodiscard]] bool may_exceed(std::size_t block, std::int64_t ms, double greatest) const;
  double look_at(std::size_t block, std::int64_t ms) const;

  const Decay& decay_;
  const SlotSet& items_;
  const TraceColumn& traces_;
  GrowingArray<std::atomic<std::uint64_t>> versions_;  // by block, rising with each change
  std::atomic<std::size_t> block_count_{0};            // that have changed
  std::atomic<std::uint64_t> version_{0};              // of all

  mutable std::mutex mutex_;  // guards what follows
  mutable std::vector<Block> blocks_;
  mutable std::size_t leader_ = 0;  // had the strongest
  mutable std::uint64_t found_version_ = kNever;
  mutable std::int64_t found_ms_ = 0;
  mutable double found_ = kNone;
};

}  // namespace engram
