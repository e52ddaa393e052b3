// SPDX-License-Identifier: Apache-2.0
// Memory that grows without moving, so that readers walk it, lock-free, while a writer extends it;
// and that costs what it holds: a store of ten rows takes some hundred bytes of the heap, and no
// mapping, of which a process may have 65,530.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string_view>

#include "core/aligned_buffer.h"
#include "core/assert.h"
#include "core/reserved_memory.h"
#include "core/result.h"
#include "core/row_pages.h"
#include "core/sections.h"
#include "core/slot.h"

namespace engram {

class SlotSet;

/// Where rows lie: in blocks of 2^n of them, that come from the heap first and then from mappings.
struct RowLayout {
  std::size_t block_bytes;  ///< at most, of a block; of small rows a block has 16
  std::size_t heap_bytes;   ///< of rows: what comes later is mapped
  /// The first block is copied to a larger place as it grows, until it is mapped. Only where one
  /// thread calls ensure() and writes to rows, each before others learn of it.
  bool moves = false;
};

/// Rows that are compared: the owner writes each once.
inline constexpr RowLayout kVectorRows{kHugePage, std::size_t{256} << 10, true};
/// The same, where they lie in a file from the first on.
inline constexpr RowLayout kGivenRows{kHugePage, 0, true};
/// Rows that any thread may change at any time.
inline constexpr RowLayout kSharedRows{std::size_t{64} << 10, std::size_t{256} << 10};
/// Rows that are compared, and written by many.
inline constexpr RowLayout kCodeRows{kHugePage, 0};
/// Elements of a few bytes each.
inline constexpr RowLayout kFewBytes{0, kMaxSlots * sizeof(std::uint64_t[2])};

/// Rows of one size by slot, 64-byte aligned if their size is a multiple of that. The address of a
/// row stays valid while this lives, and so does what it had to say if the layout moves rows.
///
/// Threads: ensure() may be called by several at once, unless the layout says otherwise. A row may
/// be used by any thread that has learnt, through a synchronising operation, that an ensure()
/// covering it has returned; who may write to it is for the owner to say.
class RowBlocks {
 public:
  /// row_bytes: at most 2 MiB. pages: gives the mapped blocks, and outlives this; null: they are
  /// of memory.
  RowBlocks(std::size_t row_bytes, const RowLayout& layout, RowPages* pages = nullptr);
  ~RowBlocks();
  RowBlocks(const RowBlocks&) = delete;
  RowBlocks& operator=(const RowBlocks&) = delete;

  std::size_t row_bytes() const noexcept { return row_bytes_; }

  /// Makes the rows of slots below `slot_end` usable; new ones are zeros. Errors:
  /// kResourceExhausted.
  Status ensure(std::size_t slot_end) {
    if (slot_end <= ready_.load(std::memory_order_acquire)) return {};
    return grow(slot_end);
  }

  /// How many rows are usable.
  std::size_t ready() const noexcept { return ready_.load(std::memory_order_acquire); }

  std::byte* row(Slot slot) const noexcept { return locate(slot, row_bytes_); }

  /// row(), where the caller knows row_bytes() when it is compiled.
  std::byte* locate(std::size_t slot, std::size_t row_bytes) const noexcept {
    ENGRAM_DASSERT(slot < ready_.load(std::memory_order_relaxed));
    const Block* const blocks = blocks_.load(std::memory_order_acquire);
    return blocks[slot >> shift_].load(std::memory_order_acquire) + (slot & mask_) * row_bytes;
  }

  /// Leaves in addresses[i] where the row of slots[i] is; as row(), for several at once.
  void rows(std::span<const Slot> slots, const std::byte** addresses) const noexcept {
    const Block* const blocks = blocks_.load(std::memory_order_acquire);
    const unsigned shift = shift_;
    const std::size_t mask = mask_;
    const std::size_t row_bytes = row_bytes_;
    for (std::size_t i = 0; i < slots.size(); ++i) {
      const std::byte* const block = blocks[slots[i] >> shift].load(std::memory_order_acquire);
      addresses[i] = block + (slots[i] & mask) * row_bytes;
    }
  }

  /// Has the system read the rows of `slots` from the disk, side by side, if it has to. Those who
  /// use them next wait for the last one, not for each. Costs nothing where rows are in memory.
  void fetch(std::span<const Slot> slots) const noexcept {
    fetch_placed(slots);
    if (pages_ != nullptr) fetch_pages(slots);
  }

  /// The same for rows that load() has placed, until all of them are verified; for others nothing.
  void fetch_placed(std::span<const Slot> slots) const noexcept {
    if (placement_.load(std::memory_order_acquire) != nullptr) fetch_from_placement(slots);
  }

  /// How many slots from `slot` on lie contiguously in memory, at least 1: the length of a run that
  /// Kernel::scan may take.
  std::size_t run_length(Slot slot) const noexcept { return rows_per_block() - (slot & mask_); }

  /// Writes the rows of `stored` as the section `name`: blocks, each from a page's start on, the
  /// last of which ends with its last row. Other rows are zeros and not read. Takes a megabyte,
  /// whatever the size. Nobody writes to a row of `stored` meanwhile. Errors: the writer's.
  Status save(SectionWriter& writer, std::string_view name, const SlotSet& stored) const;

  /// Fills rows, of which there are none yet, with what save() wrote of slots below `slot_end`: by
  /// placing it, see SectionReader::place, or, if it is small, by copying. On an error this is to
  /// be discarded. Errors: kDataLoss when the section has another size; kResourceExhausted; the
  /// reader's.
  Status load(SectionReader& reader, std::string_view name, std::size_t slot_end);

  /// As load(), by copying, of a section whose rows are `bytes` apart, more than here, and without
  /// gaps between blocks. Of each the last `tail` bytes are the end of a row here, too, and those
  /// before them are its beginning.
  Status load_wider(SectionReader& reader, std::string_view name, std::size_t slot_end,
                    std::size_t bytes, std::size_t tail);

  /// Of the pointers to rows. Rows are for the owner to count: it knows how many it uses.
  std::size_t bookkeeping_bytes() const noexcept;

 private:
  using Block = std::atomic<std::byte*>;  // its first row
  struct Memory;

  void fetch_pages(std::span<const Slot> slots) const noexcept;
  void fetch_from_placement(std::span<const Slot> slots) const noexcept;
  Status grow(std::size_t slot_end);
  Status add_room(std::size_t slot_end);
  Status move_on_heap(std::size_t slot_end);
  Status add_heap_blocks(std::size_t slot_end);
  Status map_block();
  Status commit_block(std::size_t slot_end);
  Status reserve_table(std::size_t blocks);
  void set_block(std::size_t block, std::byte* address) noexcept;
  Status copy_section(SectionReader& reader, std::string_view name, std::size_t slot_end);
  Status place_section(SectionReader& reader, std::string_view name, std::size_t slot_end);
  std::size_t section_bytes(std::size_t slot_end) const noexcept;
  Memory& memory();
  Result<MappedMemory> reserve_chunk(std::size_t first, std::size_t blocks);

  std::size_t rows_per_block() const noexcept { return mask_ + 1; }
  /// From one block to the next, where several lie together: whole pages, if it is one.
  std::size_t block_bytes() const noexcept {
    const std::size_t bytes = rows_per_block() * row_bytes_;
    return bytes < kPageBytes ? bytes : round_up(bytes, kPageBytes);
  }

  const std::size_t row_bytes_;
  const unsigned shift_;  // log2 of rows in a block
  const std::size_t mask_;
  const std::size_t heap_rows_;  // what comes later is mapped
  const bool moves_;
  RowPages* const pages_;
  const std::size_t lead_;  // bytes before the first row of a chunk: see RowPages::lead

  std::atomic<std::size_t> ready_{0};
  std::atomic<Block*> blocks_{nullptr};
  mutable std::atomic<Placement*> placement_{nullptr};  // while something of it is not verified
  mutable std::mutex mutex_;                            // guards growth
  std::unique_ptr<Memory> memory_;                      // owns all of it
};

}  // namespace engram
