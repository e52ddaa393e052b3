// SPDX-License-Identifier: Apache-2.0
// The oracle of RowAlgebra, as scalar.cc is that of Kernel.
#include "core/kernels/algebra_loops.h"

namespace engram::kernels {

double weighted_square(std::size_t floats, const float* query, const float* weights,
                       const std::byte* row) noexcept {
  const auto* const x = reinterpret_cast<const float*>(row);
  double sum = 0;
  for (std::size_t k = 0; k < floats; ++k) {
    const double difference = static_cast<double>(query[k]) - static_cast<double>(x[k]);
    sum += static_cast<double>(weights[k]) * difference * difference;
  }
  return sum;
}

namespace {

const float* floats_of(const std::byte* row) noexcept {
  return reinterpret_cast<const float*>(row);
}

bool weighted_squares(std::size_t floats, const float* query, const float* weights,
                      std::span<const std::byte* const> rows, float* out) {
  for (std::size_t i = 0; i < rows.size(); ++i) {
    out[i] = static_cast<float>(weighted_square(floats, query, weights, rows[i]));
  }
  return true;  // there may be
}

void add_rows(std::size_t floats, const double* factors, std::span<const std::byte* const> rows,
              double* sum) {
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const float* const x = floats_of(rows[i]);
    for (std::size_t k = 0; k < floats; ++k) sum[k] += factors[i] * static_cast<double>(x[k]);
  }
}

}  // namespace

AlgebraLoops scalar_algebra_loops() noexcept {
  return {"scalar", weighted_squares, add_rows};
}

}  // namespace engram::kernels
