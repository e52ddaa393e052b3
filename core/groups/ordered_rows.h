// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "core/aligned_buffer.h"
#include "core/codes.h"
#include "core/row.h"
#include "core/slot.h"
#include "core/vector_store.h"

namespace engram {

/// Some rows of a store, by number, as float32: where the store keeps codes, what they stand for.
/// Borrows the store; the rows are left alone meanwhile. Any thread.
class OrderedRows {
 public:
  OrderedRows(const VectorStore& store, std::vector<Slot> slots)
      : store_(&store), slots_(std::move(slots)) {}

  [[nodiscard]] std::size_t size() const noexcept { return slots_.size(); }
  [[nodiscard]] std::size_t dim() const noexcept { return store_->dim(); }
  [[nodiscard]] Metric metric() const noexcept { return store_->metric(); }
  [[nodiscard]] Slot slot(std::size_t number) const noexcept { return slots_[number]; }

  /// What at() needs of a buffer for each row.
  [[nodiscard]] std::size_t row_bytes() const noexcept { return engram::row_bytes(dim()); }

  /// The row, zero padded (row.h). It may lie in `place` (row_bytes()), and is there until that is
  /// used again.
  [[nodiscard]] const std::byte* at(std::size_t number, std::byte* place) const noexcept {
    const std::byte* const row = store_->row(slots_[number]);
    if (store_->element() == Element::kF32) return row;
    auto* const values = reinterpret_cast<float*>(place);
    std::fill_n(values, row_bytes() / sizeof(float), 0.0F);
    decode_codes(store_->element(), store_->metric(), row, {values, dim()});
    return place;
  }

 private:
  const VectorStore* store_;
  std::vector<Slot> slots_;
};

}  // namespace engram
