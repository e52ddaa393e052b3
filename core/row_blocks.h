// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <mutex>
#include <string_view>
#include <vector>

#include "core/reserved_memory.h"
#include "core/result.h"
#include "core/sections.h"
#include "core/slot.h"
#include "core/slot_set.h"

namespace engram {

/// Rows of one size by slot, 64-byte aligned if their size is a multiple of that, in blocks that
/// never move.
///
/// Threads: ensure() may be called by several at once. A row may be used by any thread that has
/// learnt, through a synchronising operation, that an ensure() covering it has returned; who may
/// write to it is for the owner to say.
class RowBlocks {
 public:
  explicit RowBlocks(std::size_t row_bytes);

  /// Errors: kResourceExhausted. To be called once, before anything else.
  Status reserve() { return blocks_.reserve(kMaxSlots >> shift_); }

  std::size_t row_bytes() const noexcept { return row_bytes_; }

  /// Makes the rows of slots below `slot_end` usable; new ones are zeros. Errors:
  /// kResourceExhausted.
  Status ensure(std::size_t slot_end) {
    if (slot_end <= block_count_.load(std::memory_order_acquire) << shift_) return {};
    return grow(slot_end);
  }

  std::byte* row(Slot slot) noexcept {
    return blocks_[slot >> shift_] + std::size_t{slot & mask_} * row_bytes_;
  }
  const std::byte* row(Slot slot) const noexcept {
    return blocks_[slot >> shift_] + std::size_t{slot & mask_} * row_bytes_;
  }

  /// How many slots from `slot` on lie contiguously in memory, at least 1: the length of a run that
  /// Kernel::scan may take.
  std::size_t run_length(Slot slot) const noexcept { return rows_per_block() - (slot & mask_); }

  /// Writes the rows of `stored` as the section `name`: blocks, each from a page's start on, the
  /// last of which ends with its last row. Other rows are zeros and not read. Takes a megabyte,
  /// whatever the size. Nobody writes to a row of `stored` meanwhile. Errors: the writer's.
  Status save(SectionWriter& writer, std::string_view name, const SlotSet& stored) const;

  /// Fills rows, of which there are none yet, with what save() wrote of slots below `slot_end`, by
  /// placing it: see SectionReader::place. On an error this is to be discarded. Errors: kDataLoss
  /// when the section has another size; kResourceExhausted; the reader's.
  Status load(SectionReader& reader, std::string_view name, Slot slot_end);

  /// Of the pointers to blocks. Rows are for the owner to count: it knows how many it uses.
  std::size_t bookkeeping_bytes() const noexcept {
    return block_count_.load(std::memory_order_relaxed) * sizeof(std::byte*);
  }

 private:
  Status grow(std::size_t slot_end);
  Status add_block();
  Status add_chunk();
  std::size_t section_bytes(Slot slot_end) const noexcept;

  std::size_t rows_per_block() const noexcept { return std::size_t{mask_} + 1; }
  /// From one block to the next, where several lie in one mapping: whole pages.
  std::size_t block_bytes() const noexcept {
    return round_up(rows_per_block() * row_bytes_, kPageBytes);
  }

  const std::size_t row_bytes_;
  const unsigned shift_;  // log2 of rows in a block
  const Slot mask_;

  ReservedArray<std::byte*> blocks_;  // first row of each block
  std::atomic<std::size_t> block_count_{0};
  std::mutex mutex_;                  // guards growth
  std::vector<MappedMemory> memory_;  // owns the blocks
  std::size_t given_ = 0;             // bytes of memory_.back() that are blocks
};

}  // namespace engram
