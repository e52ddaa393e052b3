// SPDX-License-Identifier: Apache-2.0
// The dense product behind batched exact search.
#pragma once

#include <cstddef>
#include <span>

namespace engram::flat {

/// Row-major float matrix whose rows lie `stride` floats apart; columns beyond the data are zeros.
struct MatrixView {
  const float* data;
  std::size_t rows;
  std::size_t stride;
};

/// One instruction set's product of queries and rows, which have the same stride.
/// dots: [queries.rows][rows.rows], dots[i][j] = queries[i] . rows[j].
/// norms: [rows.rows], the squared norm of each row.
/// Each is within gamma_n of the sum of its absolute terms, in whatever order they are added
/// [Higham2002, 3.1]. May throw std::bad_alloc.
using Product = void (*)(const MatrixView& queries, const MatrixView& rows, float* dots,
                         float* norms);

/// The product that beats the scan kernels of this machine, or nullptr if none was compiled that
/// does: on x86-64 without AVX2, Eigen has only SSE2.
Product best_product();

}  // namespace engram::flat
