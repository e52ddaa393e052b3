// SPDX-License-Identifier: Apache-2.0
// What associative recall computes from float32 rows beside scores: squared distances with a weight
// for each coordinate, and weighted sums of rows.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

#include "core/result.h"

namespace engram {

/// Crossed once per block of rows, as Kernel is. Rows are float32 (row.h), finite, and start on
/// multiples of 4 bytes. P below is row_bytes(dim) / 4, the floats of a row with its padding.
/// Immutable after construction, so any number of threads may share one. No call allocates or
/// fails.
class RowAlgebra {
 public:
  virtual ~RowAlgebra() = default;

  /// As Kernel::name.
  virtual std::string_view name() const noexcept = 0;

  /// out[i] = sum over k of weights[k] * (query[k] - rows[i][k])^2, to float32's precision, in the
  /// range of double: float32 loses the squares of small numbers.
  ///
  /// query, weights: [P], finite, zeros behind dim. A coordinate of weight 0 is hidden; with a
  /// query of zeros these are weighted squared norms. rows and out: [n], any n. A row's result has
  /// the same bits in every batch; between instruction sets it differs as scores do (f32-inl.h).
  virtual void weighted_squares(const float* query, const float* weights,
                                std::span<const std::byte* const> rows,
                                std::span<double> out) const noexcept = 0;

  /// sum[k] += sum over i of factors[i] * rows[i][k].
  ///
  /// factors and rows: [n], any n. sum: [P]; zeros behind dim stay zeros if factors are finite.
  /// Each coordinate adds the rows one by one in the order given, with a fused multiply-add where
  /// the target has it, so the result has the same bits however a caller splits the rows into
  /// calls.
  virtual void add_rows(std::span<const double> factors, std::span<const std::byte* const> rows,
                        std::span<double> sum) const noexcept = 0;
};

/// Makes the RowAlgebra called `name` over rows of `dim` components. name: as make_kernel() takes
/// it. Errors: as make_kernel().
Result<std::unique_ptr<RowAlgebra>> make_row_algebra(std::string_view name, std::size_t dim);

}  // namespace engram
