// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <limits>
#include <span>

#include "core/kernel.h"
#include "core/prefetch.h"
#include "core/vector_store.h"

namespace engram {

/// A kernel bound to one query and the rows of one store: it answers for slots, so that search
/// loops know neither rows nor blocks. Cheap to copy; borrows all three. Use by one thread, or by
/// many.
class Bound {
 public:
  Bound(const Kernel& kernel, Query query, const RowBlocks& rows) noexcept
      : kernel_(&kernel), query_(query), rows_(&rows) {}
  Bound(const Kernel& kernel, Query query, const VectorStore& store) noexcept
      : Bound(kernel, query, store.rows()) {}

  /// scores[i] = score(query, row of slots[i]). Both [n], any n; slots in any order.
  void gather(std::span<const Slot> slots, std::span<float> scores) const noexcept {
    gather_within(slots, kNoLimit, scores);
  }

  /// The same for those who need only scores up to `limit`: see Kernel::gather_within.
  void gather_within(std::span<const Slot> slots, float limit,
                     std::span<float> scores) const noexcept {
    std::array<const std::byte*, kBatch> rows;
    for (std::size_t begin = 0; begin < slots.size(); begin += kBatch) {
      const std::size_t count = std::min(kBatch, slots.size() - begin);
      rows_->rows(slots.subspan(begin, count), rows.data());
      gather_rows_within({rows.data(), count}, limit, scores.subspan(begin, count));
    }
  }

  /// See RowBlocks::fetch.
  void fetch(std::span<const Slot> slots) const noexcept { rows_->fetch(slots); }

  /// See RowBlocks::fetch_placed.
  void fetch_placed(std::span<const Slot> slots) const noexcept { rows_->fetch_placed(slots); }

  /// gather() in steps, for those who have something to do between them. rows[i]: where the row of
  /// slots[i] is. It stays true.
  void locate(std::span<const Slot> slots, const std::byte** rows) const noexcept {
    rows_->rows(slots, rows);
  }
  /// Asks for the beginnings of rows to be fetched into cache.
  void prefetch(std::span<const std::byte* const> rows) const noexcept {
    const std::size_t bytes = std::min(kPrefetchBytes, rows_->row_bytes());
    for (const std::byte* const row : rows) {
      for (std::size_t i = 0; i < bytes; i += kRowAlignment) engram::prefetch(row + i);
    }
  }
  void gather_rows(std::span<const std::byte* const> rows, std::span<float> scores) const noexcept {
    kernel_->gather(query_, rows, scores);
  }
  void gather_rows_within(std::span<const std::byte* const> rows, float limit,
                          std::span<float> scores) const noexcept {
    kernel_->gather_within(query_, rows, limit, scores);
  }

  /// score(query, row of `slot`).
  float score(Slot slot) const noexcept {
    float score;
    gather({&slot, 1}, {&score, 1});
    return score;
  }

  /// Calls visit(first_slot, scores) for runs that cover the slots [begin, end), in order. Every
  /// one of them must have been written: see SlotSet::for_each_run.
  template <class Visit>
  void scan(Slot begin, Slot end, Visit&& visit) const {
    std::array<float, kScanBatch> scores;
    for (Slot slot = begin; slot < end;) {
      const std::size_t count =
          std::min({kScanBatch, std::size_t{end - slot}, rows_->run_length(slot)});
      kernel_->scan(query_, rows_->row(slot), {scores.data(), count});
      visit(slot, std::span<const float>(scores.data(), count));
      slot += static_cast<Slot>(count);
    }
  }

 private:
  static constexpr float kNoLimit = std::numeric_limits<float>::infinity();
  static constexpr std::size_t kPrefetchBytes = 256;
  static constexpr std::size_t kBatch = 64;        // pointers: half a kilobyte of stack
  static constexpr std::size_t kScanBatch = 1024;  // scores: one L1-resident page

  const Kernel* kernel_;
  Query query_;
  const RowBlocks* rows_;
};

/// Rows and the kernel that compares them. Borrows both.
struct RowView {
  const Kernel& kernel;
  const RowBlocks& rows;

  Bound to(Query query) const noexcept { return Bound(kernel, query, rows); }
  /// A stored row as the query. Borrows `storage`, see Kernel::from_row.
  Bound to_slot(Slot slot, AlignedBuffer& storage) const {
    return to(kernel.from_row(rows.row(slot), storage));
  }
};

}  // namespace engram
