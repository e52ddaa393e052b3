// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstddef>
#include <vector>

#include "core/aligned_buffer.h"
#include "core/recall.h"
#include "core/row_algebra.h"
#include "primitives/shared/candidates/candidates.h"

namespace engram::lsr {

/// An item, and its squared distance to the state.
struct Near {
  Slot slot;
  double square;
  double handicap = 0;
};

/// Of `near`; 0 if there is none.
double least_handicap(const std::vector<Near>& near);

/// The strength of an item in units of that which has the handicap `least`. Strengths are only ever
/// compared with those of other near items: by themselves they may be less than a double holds.
inline double relative_strength(const Near& item, double least) {
  return item.handicap == least ? 1 : std::exp(least - item.handicap);
}

/// What a worker keeps between recalls.
struct LsrBuffers {
  std::vector<Slot> slots;
  std::vector<double> squares;
  std::vector<Hit> hits;
  std::vector<Near> near;
  std::vector<Near> next_near;
  std::vector<Slot> near_slots;
  std::vector<double> factors;
  std::vector<double> sum;
  std::vector<double> handicaps;
  std::vector<float> state;  // [padded dim]
  std::vector<float> mask;   // [padded dim], 1 where a coordinate counts, else 0
  AlignedBuffer decoded;
};

/// The items around buffers.state, by the coordinates that buffers.mask counts, with what `bias`
/// says of them (null: nothing). Borrows all it is given.
class Neighborhood {
 public:
  Neighborhood(const MemoryView& memory, const RowAlgebra& algebra, const recall::Items& items,
               const Bias* bias, Scratch& scratch, LsrBuffers& buffers)
      : memory_(memory),
        algebra_(algebra),
        items_(items),
        bias_(bias),
        scratch_(scratch),
        buffers_(buffers) {}

  /// Fills `near` with the items nearer than `radius`, by slot, and sets nearest(). candidates:
  /// what a graph is asked for at first; it is asked again until it has gone beyond the radius.
  /// There is an item.
  Status look(double radius, std::size_t candidates, std::vector<Near>& near);

  /// Of the items that the last look saw; its slot is kNoSlot if all of them are damaged.
  const Near& nearest() const noexcept { return nearest_; }

  /// Whether every look so far saw all items.
  bool is_exact() const noexcept { return is_exact_; }

  /// buffers.sum = the mean of `near`, which is not empty, by strength, over all coordinates.
  void average(const std::vector<Near>& near);

 private:
  Status ask_graph(std::size_t count);
  void measure();
  void add_handicaps(std::vector<Near>& near);

  const MemoryView& memory_;
  const RowAlgebra& algebra_;
  const recall::Items items_;
  const Bias* const bias_;
  Scratch& scratch_;
  LsrBuffers& buffers_;
  Near nearest_{kNoSlot, 0};
  bool is_exact_ = true;
};

}  // namespace engram::lsr
