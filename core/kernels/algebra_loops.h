// SPDX-License-Identifier: Apache-2.0
// What of a RowAlgebra depends on the instruction set.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

namespace engram::kernels {

/// RowAlgebra::weighted_squares over rows of `floats`, a multiple of 16, in the range of float32.
/// Returns whether one is below kLeastSquare.
using WeightedSquares = bool (*)(std::size_t floats, const float* query, const float* weights,
                                 std::span<const std::byte* const> rows, float* out);

/// RowAlgebra::add_rows over rows of `floats`, a multiple of 16.
using AddRows = void (*)(std::size_t floats, const double* factors,
                         std::span<const std::byte* const> rows, double* sum);

/// What an instruction set does for a RowAlgebra.
struct AlgebraLoops {
  std::string_view name;
  WeightedSquares weighted_squares;
  AddRows add_rows;
};

/// The squares of one row, summed up in double.
double weighted_square(std::size_t floats, const float* query, const float* weights,
                       const std::byte* row) noexcept;

/// The oracle: plain loops over doubles, compiled for the baseline instruction set.
AlgebraLoops scalar_algebra_loops() noexcept;

/// One for each instruction set that was compiled in and that this machine has, best first, with
/// the names of simd_candidates().
std::vector<AlgebraLoops> simd_algebra_loops();

}  // namespace engram::kernels
