// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>

#include "core/kernel.h"
#include "core/vector_store.h"

namespace engram {

/// A kernel bound to one query and one store: it answers for slots, so that search loops know
/// neither rows nor blocks. Cheap to copy; borrows all three. Use by one thread, or by many.
class Bound {
 public:
  Bound(const Kernel& kernel, Query query, const VectorStore& store) noexcept
      : kernel_(&kernel), query_(query), store_(&store) {}

  /// A stored row as the query: rows are kept in the form of prepared queries.
  static Bound to_slot(const Kernel& kernel, const VectorStore& store, Slot slot) noexcept {
    return Bound(kernel, Query{store.row(slot)}, store);
  }

  /// scores[i] = score(query, row of slots[i]). Both [n], any n; slots in any order.
  void gather(std::span<const Slot> slots, std::span<float> scores) const noexcept {
    std::array<const std::byte*, kBatch> rows;
    for (std::size_t begin = 0; begin < slots.size(); begin += kBatch) {
      const std::size_t count = std::min(kBatch, slots.size() - begin);
      for (std::size_t i = 0; i < count; ++i) rows[i] = store_->row(slots[begin + i]);
      kernel_->gather(query_, {rows.data(), count}, scores.subspan(begin, count));
    }
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
          std::min({kScanBatch, std::size_t{end - slot}, store_->run_length(slot)});
      kernel_->scan(query_, store_->row(slot), {scores.data(), count});
      visit(slot, std::span<const float>(scores.data(), count));
      slot += static_cast<Slot>(count);
    }
  }

 private:
  static constexpr std::size_t kBatch = 64;        // pointers: half a kilobyte of stack
  static constexpr std::size_t kScanBatch = 1024;  // scores: one L1-resident page

  const Kernel* kernel_;
  Query query_;
  const VectorStore* store_;
};

}  // namespace engram
