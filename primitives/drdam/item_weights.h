// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <vector>

#include "core/aligned_buffer.h"
#include "core/row_algebra.h"
#include "core/slot.h"
#include "core/vector_store.h"
#include "primitives/shared/weights/support.h"

namespace engram::drdam {

/// What a worker keeps between recalls.
struct ItemBuffers {
  std::vector<Slot> slots;  // of the items, ascending
  std::vector<double> squares;
  std::vector<double> logits;
  std::vector<double> weights;
  AlignedBuffer decoded;
};

/// How near items are to a state by the exact kernel, which a sum of features cannot tell: it needs
/// their rows. Borrows all it is given.
class ItemWeights {
 public:
  ItemWeights(const VectorStore& store, const RowAlgebra& algebra, double beta,
              ItemBuffers& buffers)
      : store_(store), algebra_(algebra), beta_(beta), buffers_(buffers) {}

  /// Weighs buffers.slots, at least one: p_i ~ exp(-beta/2 ||q - x_i||^2) over the coordinates that
  /// `mask` counts. state, mask: rows, padded with zeros. An item that is damaged so that it has no
  /// distance has no weight. False if none has.
  bool weigh(const float* state, const float* mask);

  recall::Support support() const noexcept { return {buffers_.slots, buffers_.weights}; }

  /// sum_i exp(-beta/2 ||q - x_i||^2), of the last weigh() that was true.
  double kernels() const noexcept { return kernels_; }

 private:
  const VectorStore& store_;
  const RowAlgebra& algebra_;
  const double beta_;
  ItemBuffers& buffers_;
  double kernels_ = 0;
};

}  // namespace engram::drdam
