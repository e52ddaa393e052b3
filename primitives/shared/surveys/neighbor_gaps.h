// SPDX-License-Identifier: Apache-2.0
// How far apart items are, by a sample of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "core/aligned_buffer.h"
#include "core/index.h"
#include "core/item_filter.h"
#include "core/recall.h"
#include "core/row_algebra.h"
#include "primitives/shared/candidates/candidates.h"

namespace engram::recall {

/// The 10th percentile of `gaps`, or where that is not positive (duplicates) the least positive
/// decile; 0 if there is none.
double scale_of(const std::vector<double>& gaps);

/// The gap of an item is its self-similarity minus its similarity to its nearest neighbour: 1 -
/// cos, half the squared distance, or x.x - x.y. It may be negative under dot, where a longer item
/// is more similar to x than x is to itself.
class NeighborGaps {
 public:
  /// Draws `count` of the items, the same ones for the same items and seed; none if there are not
  /// two.
  NeighborGaps(const MemoryView& memory, const RowAlgebra& algebra, const Items& items,
               std::size_t count, std::uint64_t seed);

  /// All items, ascending, and what finds the nearest of them, or null.
  const std::vector<Slot>& all() const noexcept { return all_; }
  const Index* graph() const noexcept { return graph_; }
  /// What to ask the graph for: null, or the items where they are not all that it holds.
  const ItemFilter* filter() const noexcept { return filter_ ? &*filter_ : nullptr; }
  const std::vector<Slot>& slots() const noexcept { return slots_; }

  /// Takes the gap of one of slots(). candidates: how many near items to ask a graph for. Errors:
  /// those of a search.
  Status measure(Slot slot, std::size_t candidates, Scratch& scratch);

  /// The row of a slot as float32, in `buffer` if the store keeps codes.
  const float* row(Slot slot, AlignedBuffer& buffer) const;

  /// Of the slots that were measured.
  const std::vector<double>& gaps() const noexcept { return gaps_; }
  /// Half the squared distances to the nearest, which is what the gaps are but under dot.
  const std::vector<double>& halved_squares() const noexcept {
    return memory_.context.store.metric() == Metric::kDot ? halved_squares_ : gaps_;
  }
  /// The gaps to the nearest that is less similar than the item itself: of copies to others, where
  /// gaps() are 0, if there was one among the candidates.
  const std::vector<double>& gaps_to_others() const noexcept { return gaps_to_others_; }

 private:
  struct Buffers;

  Status find_nearest(Slot slot, const float* row, std::size_t candidates, Scratch& scratch,
                      Buffers& buffers) const;
  void measure_square(Slot slot, const float* row, Buffers& buffers);

  const MemoryView memory_;
  const RowAlgebra& algebra_;
  const Index* const graph_;
  std::optional<SlotSetFilter> filter_;
  std::vector<Slot> all_;
  std::vector<Slot> slots_;
  std::vector<double> gaps_;
  std::vector<double> gaps_to_others_;
  std::vector<double> halved_squares_;  // only under dot
};

}  // namespace engram::recall
