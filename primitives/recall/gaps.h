// SPDX-License-Identifier: Apache-2.0
// How far apart items are: a sample of them, and what separates each from its nearest neighbour.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/index.h"
#include "core/recall.h"
#include "core/row_algebra.h"
#include "primitives/recall/descent.h"

namespace engram::recall {

/// `count` of `slots` (all, if there are fewer), ascending: the same ones for the same slots and
/// seed.
std::vector<Slot> draw(const std::vector<Slot>& slots, std::size_t count, std::uint64_t seed);

/// Of `values`, which are not empty.
double mean(const std::vector<double>& values);

/// The value that a share of `values`, which are not empty, is not above.
double quantile(std::vector<double> values, double share);

/// Of `values`, which are not empty.
template <class Predicate>
double share_of(const std::vector<double>& values, Predicate&& holds) {
  const auto count = std::count_if(values.begin(), values.end(), holds);
  return static_cast<double>(count) / static_cast<double>(values.size());
}

/// The 10th percentile of `gaps`, or where that is not positive (duplicates) the least positive
/// decile; 0 if there is none.
double scale_of(const std::vector<double>& gaps);

/// The gap of x to y is sim(x, x) - sim(x, y): 1 - cos, half the squared distance, or x.x - x.y. It
/// may be negative under dot, where a longer item is more similar to x than x is to itself.
class GapSample {
 public:
  /// Draws `count` of the items, the same ones for the same items and seed; none if there are not
  /// two.
  GapSample(const Memory& memory, const RowAlgebra& algebra, const Items& items, std::size_t count,
            std::uint64_t seed);

  /// All items, ascending, and what finds the nearest of them, or null.
  const std::vector<Slot>& all() const noexcept { return all_; }
  const Index* graph() const noexcept { return graph_; }
  const std::vector<Slot>& slots() const noexcept { return slots_; }

  /// Takes the gap of one of slots(). candidates: how many near items to ask a graph for. Errors:
  /// those of a search.
  Status measure(Slot slot, std::size_t candidates, Scratch& scratch);

  /// The row of a slot as float32, in `buffers` if the store keeps codes.
  const float* row(Slot slot, EnergyBuffers& buffers) const;

  /// Of the slots that were measured.
  const std::vector<double>& gaps() const noexcept { return gaps_; }
  /// Half the squared distances to the nearest, which is what the gaps are but under dot.
  const std::vector<double>& halved_squares() const noexcept {
    return memory_.context.store.metric() == Metric::kDot ? halved_squares_ : gaps_;
  }

 private:
  Status find_nearest(Slot slot, const float* state, std::size_t candidates, Scratch& scratch,
                      DescentBuffers& buffers) const;
  void measure_square(Slot slot, const float* state, DescentBuffers& buffers);

  const Memory memory_;
  const RowAlgebra& algebra_;
  const Index* const graph_;
  std::vector<Slot> all_;
  std::vector<Slot> slots_;
  std::vector<double> gaps_;
  std::vector<double> halved_squares_;  // only under dot
};

}  // namespace engram::recall
