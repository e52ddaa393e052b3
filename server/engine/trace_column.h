// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "core/decay.h"
#include "core/result.h"
#include "core/row_blocks.h"
#include "core/slot.h"
#include "core/trace.h"

namespace engram {

/// Traces by slot, that other threads read while one writes: each has a version, which is odd
/// while it changes, and who meets two versions reads again.
///
/// Threads: load() any; the others the writer's only.
class TraceColumn {
 public:
  /// Of an index with that decay: what its traces cannot have takes no room.
  explicit TraceColumn(const Decay& decay)
      : words_(word_count(decay)), rows_(words_ * sizeof(Word), kSharedRows) {}

  /// Makes room for slots below `end`; what is new is the trace Trace{}. Errors:
  /// kResourceExhausted.
  Status ensure(Slot end) { return rows_.ensure(end); }
  [[nodiscard]] bool has_room(Slot slot) const noexcept { return slot < rows_.ready(); }

  /// Of a slot with room, as the following ones.
  void store(Slot slot, const Trace& trace) noexcept;
  [[nodiscard]] Trace load(Slot slot) const noexcept;
  /// It is about to be loaded.
  void prefetch(Slot slot) const noexcept;

  [[nodiscard]] std::size_t memory_bytes() const noexcept {
    return rows_.ready() * words_ * sizeof(Word) + rows_.bookkeeping_bytes();
  }

 private:
  using Word = std::atomic<std::uint64_t>;

  static std::size_t word_count(const Decay& decay) noexcept;

  [[nodiscard]] Word* row(Slot slot) const noexcept {
    return reinterpret_cast<Word*>(rows_.row(slot));
  }
  static Trace read(const Word* row) noexcept;

  const std::size_t words_;  // of a row
  RowBlocks rows_;
};

}  // namespace engram
