// SPDX-License-Identifier: Apache-2.0
// Where vectors live.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "core/metric.h"
#include "core/reserved_memory.h"
#include "core/result.h"
#include "core/row.h"
#include "core/sections.h"
#include "core/slot.h"
#include "core/slot_set.h"

namespace engram {

/// Vectors of one dimension, addressed by Slot. Rows are 64-byte aligned, lie in blocks that never
/// move, and are stored in the form that kernels compare (row.h).
///
/// Threads: one owner at a time calls allocate, release and write. Any thread may read the row of a
/// slot that it has learnt of, through a synchronising operation, after write() returned; the owner
/// must not write or release a slot that others may still be reading.
class VectorStore {
 public:
  /// Errors: kInvalidArgument unless 1 <= dim <= kMaxDimension; kResourceExhausted.
  static Result<std::unique_ptr<VectorStore>> create(std::size_t dim, Metric metric);

  std::size_t dim() const noexcept { return dim_; }
  Metric metric() const noexcept { return metric_; }
  std::size_t row_bytes() const noexcept { return row_bytes_; }

  /// A slot for a new vector: the one released last, else the next never used.
  /// Errors: kResourceExhausted when memory or kMaxSlots runs out; nothing changes then.
  Result<Slot> allocate();

  /// Gives a slot back for reuse. Its row stays readable until the slot is written again.
  void release(Slot slot);

  /// Stores `vector` ([dim], passed check_vector) in an allocated slot.
  void write(Slot slot, std::span<const float> vector);

  /// The vector as it was written; under cosine to within a unit in the last place of each
  /// component, unit vectors exactly. vector: [dim].
  void read(Slot slot, std::span<float> vector) const;

  /// Whether write(slot, vector) would change nothing: row and factor are, bit for bit, what it
  /// would store. slot: below slot_end(). vector: [dim], passed check_vector. Threads: as row().
  bool holds(Slot slot, std::span<const float> vector) const;

  /// Writes the vectors of `stored` as the sections store.rows and store.factors; those of other
  /// slots are zeros and not read. Any thread; the owner may go on meanwhile, but neither write nor
  /// release a slot of `stored`, nor may the set change. Takes a megabyte, whatever the size.
  /// Errors: the writer's.
  Status save(SectionWriter& writer, const SlotSet& stored) const;

  /// Takes back what save() wrote for the same `stored`, on a store of which nothing was used yet:
  /// exactly these slots are allocated afterwards. Rows and factors are placed, not read, so they
  /// are not verified: they may hold any floats, NaN among them, until they are. On an error the
  /// store is to be discarded. Errors: kDataLoss when the sections have not the size that `stored`
  /// needs; kResourceExhausted; the reader's.
  Status load(SectionReader& reader, const SlotSet& stored);

  const std::byte* row(Slot slot) const noexcept {
    return blocks_[slot >> block_shift_] + std::size_t{slot & block_mask_} * row_bytes_;
  }

  /// One past the highest slot ever allocated; may be read by any thread. Slots below it may be
  /// released, or not yet written.
  Slot slot_end() const noexcept { return slot_end_.load(std::memory_order_acquire); }

  /// How many slots from `slot` on lie contiguously in memory, at least 1: the length of a run that
  /// Kernel::scan may take.
  std::size_t run_length(Slot slot) const noexcept {
    return rows_per_block() - (slot & block_mask_);
  }

  /// Calls visit(slot) for the slots below slot_end() that are not allocated. Owner only.
  template <class Visit>
  void for_each_free(Visit&& visit) const {
    for (const Slot slot : free_) visit(slot);
  }

  /// Allocated and not released.
  std::size_t live() const noexcept { return slot_end() - free_.size(); }

  /// Bytes of rows, factors and bookkeeping, counted to the highest slot in use.
  std::size_t memory_bytes() const noexcept;

 private:
  VectorStore(std::size_t dim, Metric metric);

  Status reserve_address_space();
  Status add_block();

  // vector_store_sections.cc
  std::size_t section_bytes(Slot end) const noexcept;
  Status save_rows(SectionWriter& writer, const SlotSet& stored) const;
  Status save_factors(SectionWriter& writer, const SlotSet& stored) const;
  Status load_rows(SectionReader& reader, Slot end);

  std::size_t rows_per_block() const noexcept { return std::size_t{block_mask_} + 1; }
  /// From one block to the next, where several lie in one mapping: whole pages.
  std::size_t block_bytes() const noexcept {
    return round_up(rows_per_block() * row_bytes_, kPageBytes);
  }

  const std::size_t dim_;
  const std::size_t row_bytes_;
  const Metric metric_;
  const unsigned block_shift_;  // log2 of rows in a block
  const Slot block_mask_;

  ReservedArray<std::byte*> blocks_;  // first row of each block
  std::size_t block_count_ = 0;
  ReservedArray<float> factors_;      // by slot, what decode_row needs
  std::vector<MappedMemory> memory_;  // owns the blocks: one each, but those loaded lie in one
  std::vector<Slot> free_;
  std::atomic<Slot> slot_end_{0};
};

}  // namespace engram
