// SPDX-License-Identifier: Apache-2.0
// Where vectors live.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "core/codes.h"
#include "core/element.h"
#include "core/growing_array.h"
#include "core/metric.h"
#include "core/result.h"
#include "core/row_blocks.h"
#include "core/row_pages.h"
#include "core/sections.h"
#include "core/slot.h"
#include "core/slot_set.h"

namespace engram {

/// Vectors of one dimension, addressed by Slot. Rows lie in blocks that never move, at multiples of
/// 64 bytes (codes: of 16), in the form that kernels compare (row.h, codes.h).
///
/// Threads: one owner at a time calls allocate, release and write. Any thread may read the row of a
/// slot that it has learnt of, through a synchronising operation, after write() returned; the owner
/// must not write or release a slot that others may still be reading.
class VectorStore : public std::enable_shared_from_this<VectorStore> {
 public:
  /// `pages`: where rows lie that are not to stay in memory, all but a first few; null: there are
  /// none. Errors: kInvalidArgument unless 1 <= dim <= kMaxDimension; kResourceExhausted.
  static Result<std::unique_ptr<VectorStore>> create(std::size_t dim, Metric metric,
                                                     Element element = Element::kF32,
                                                     std::unique_ptr<RowPages> pages = nullptr);

  std::size_t dim() const noexcept { return dim_; }
  Metric metric() const noexcept { return metric_; }
  Element element() const noexcept { return element_; }
  std::size_t row_bytes() const noexcept { return rows_.row_bytes(); }

  /// A slot for a new vector: one that was released, else the next never used.
  /// Errors: kResourceExhausted when memory or kMaxSlots runs out; nothing changes then.
  Result<Slot> allocate();

  /// That very slot, which is_free(). Lower ones that were never used are free afterwards. Errors:
  /// as above.
  Status allocate(Slot slot);

  /// Whether allocate() may give it: it is below kMaxSlots, and nobody has it. Owner only.
  bool is_free(Slot slot) const noexcept;

  /// Gives a slot back for reuse. Its row stays readable until the slot is written again.
  void release(Slot slot);

  /// Stores `vector` ([dim], passed check_vector) in an allocated slot.
  void write(Slot slot, std::span<const float> vector);

  /// The vector as it was written; under cosine to within a unit in the last place of each
  /// component, unit vectors exactly; of codes what they stand for (codes.h). vector: [dim].
  void read(Slot slot, std::span<float> vector) const;

  /// Whether write(slot, vector) would change nothing: row and factor are, bit for bit, what it
  /// would store. slot: below slot_end(). vector: [dim], passed check_vector. Threads: as row().
  bool holds(Slot slot, std::span<const float> vector) const;

  /// Writes the vectors of `stored` as the sections store.rows, or store.codes, and store.factors;
  /// those of other slots are zeros and not read. Any thread; the owner may go on meanwhile, but
  /// neither write nor release a slot of `stored`, nor may the set change. Takes a megabyte,
  /// whatever the size. Errors: the writer's.
  Status save(SectionWriter& writer, const SlotSet& stored) const;

  /// Takes back what save() wrote for the same `stored`, on a store of which nothing was used yet:
  /// exactly these slots are allocated afterwards. Rows and factors are placed, or copied where
  /// they are few, and not verified: they may hold any floats, NaN among them, until they are. On
  /// an error the store is to be discarded. Errors: kDataLoss when the sections have not the size
  /// that `stored` needs; kResourceExhausted; the reader's.
  Status load(SectionReader& reader, const SlotSet& stored);

  const RowBlocks& rows() const noexcept { return rows_; }
  const std::byte* row(Slot slot) const noexcept { return rows_.row(slot); }

  /// One past the highest slot ever allocated; may be read by any thread. Slots below it may be
  /// released, or not yet written.
  Slot slot_end() const noexcept { return slot_end_.load(std::memory_order_acquire); }

  /// See RowBlocks::run_length.
  std::size_t run_length(Slot slot) const noexcept { return rows_.run_length(slot); }

  /// Calls visit(slot) for the slots below slot_end() that are not allocated. Owner only.
  template <class Visit>
  void for_each_free(Visit&& visit) const {
    free_.for_each(0, slot_end(), visit);
  }

  /// Allocated and not released.
  std::size_t live() const noexcept { return slot_end() - free_.size(); }

  /// Bytes of rows, factors and bookkeeping, counted to the highest slot in use; of rows on the
  /// disk none.
  std::size_t memory_bytes() const noexcept;

  RowsPlace rows_place() const noexcept {
    if (pages_ == nullptr) return RowsPlace::kMemory;
    return pages_->has_rows() ? RowsPlace::kFile : RowsPlace::kDisk;
  }

  /// Whether every row is what was written: see RowPages::check. Any thread.
  Status check_rows() const { return pages_ == nullptr ? Status() : pages_->check(); }

 private:
  VectorStore(std::size_t dim, Metric metric, Element element, std::unique_ptr<RowPages> pages);

  Status extend(Slot slot_end);
  bool has_factors() const noexcept { return metric_ == Metric::kCosine; }
  float factor(Slot slot) const noexcept { return has_factors() ? factors_[slot] : 1; }
  void set_factor(Slot slot, float factor) noexcept {
    if (has_factors()) factors_[slot] = factor;
  }
  void write_what_differs(Slot slot, std::span<const float> vector);
  float encode(std::span<const float> vector, std::byte* row) const;

  // vector_store_sections.cc
  Status save_factors(SectionWriter& writer, const SlotSet& stored) const;
  Status load_rows(SectionReader& reader, Slot end);
  Status load_factors(SectionReader& reader, Slot end);

  const std::size_t dim_;
  const Metric metric_;
  const Element element_;

  const std::unique_ptr<RowPages> pages_;  // null: rows are in memory
  RowBlocks rows_;
  GrowingArray<float> factors_;  // by slot, what decode_row needs; none where they are 1
  SlotSet free_;                 // below slot_end_
  std::vector<Slot> released_;   // all of free_, and some that are not free any more
  std::atomic<Slot> slot_end_{0};
};

}  // namespace engram
