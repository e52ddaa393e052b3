// SPDX-License-Identifier: Apache-2.0
#include "primitives/hebb/symmetric_matrix.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/reserved_memory.h"

namespace engram::hebb {
namespace {

constexpr double kLeastPivot = 1e-10;

void copy_lower_to_upper(std::span<double> a, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t k = 0; k < i; ++k) a[k * n + i] = a[i * n + k];
  }
}

/// Fills `rows` with L^T of a = L L^T by Cholesky's method with pivots, row by row, and returns how
/// many rows there are: the rank. a is used up.
std::size_t factorise(std::span<double> a, std::size_t n, std::span<double> rows) {
  const auto diagonal = [&](std::size_t i) { return a[i * n + i]; };
  double greatest = 0;
  for (std::size_t i = 0; i < n; ++i) greatest = std::max(greatest, diagonal(i));
  std::size_t rank = 0;
  for (; rank < n; ++rank) {
    std::size_t pivot = 0;
    for (std::size_t i = 1; i < n; ++i) pivot = diagonal(i) > diagonal(pivot) ? i : pivot;
    if (!(diagonal(pivot) > kLeastPivot * greatest)) break;
    const auto row = rows.subspan(rank * n, n);
    const double root = std::sqrt(diagonal(pivot));
    for (std::size_t i = 0; i < n; ++i) row[i] = a[pivot * n + i] / root;
    for (std::size_t i = 0; i < n; ++i) {
      const double factor = row[i];
      if (factor == 0) continue;
      double* const into = &a[i * n];
      for (std::size_t k = 0; k < n; ++k) into[k] -= factor * row[k];
    }
  }
  return rank;
}

}  // namespace

/// The sweep operator: after n sweeps the negative inverse is there. Only the lower triangle is
/// kept up.
void invert(std::span<double> a, std::size_t n) {
  std::vector<double> column(n);
  for (std::size_t pivot = 0; pivot < n; ++pivot) {
    for (std::size_t i = 0; i < n; ++i) {
      column[i] = i <= pivot ? a[pivot * n + i] : a[i * n + pivot];
    }
    const double divisor = column[pivot];
    for (std::size_t i = 0; i < n; ++i) {
      const double factor = column[i] / divisor;
      double* const into = &a[i * n];
      for (std::size_t k = 0; k <= i; ++k) into[k] -= factor * column[k];
    }
    for (std::size_t i = 0; i < n; ++i) {
      (i <= pivot ? a[pivot * n + i] : a[i * n + pivot]) = column[i] / divisor;
    }
    a[pivot * n + pivot] = -1 / divisor;
  }
  for (std::size_t i = 0; i < n * n; ++i) a[i] = -a[i];
  copy_lower_to_upper(a, n);
}

/// L (L^T L)^-1 L^T.
Status make_projector(std::span<double> a, std::size_t n) {
  auto memory = FixedMemory::allocate(2 * n * n * sizeof(double));
  if (!memory) return tl::unexpected(std::move(memory.error()));
  const std::span numbers(reinterpret_cast<double*>(memory->data()), 2 * n * n);
  const auto rows = numbers.first(n * n);
  const std::size_t rank = factorise(a, n, rows);
  if (rank == n) {
    std::fill(a.begin(), a.end(), 0);
    for (std::size_t i = 0; i < n; ++i) a[i * n + i] = 1;
    return {};
  }
  const auto products = numbers.subspan(n * n, rank * rank);
  for (std::size_t i = 0; i < n; ++i) {  // a is free now: L, beside L^T
    for (std::size_t k = 0; k < rank; ++k) a[i * n + k] = rows[k * n + i];
  }
  for (std::size_t at = 0; at < n; ++at) {
    const double* const row = &a[at * n];
    for (std::size_t i = 0; i < rank; ++i) {
      for (std::size_t k = 0; k <= i; ++k) products[i * rank + k] += row[i] * row[k];
    }
  }
  copy_lower_to_upper(products, rank);
  invert(products, rank);
  std::vector<double> weights(rank);
  for (std::size_t i = 0; i < n; ++i) {
    double* const into = &a[i * n];
    std::fill(weights.begin(), weights.end(), 0);
    for (std::size_t k = 0; k < rank; ++k) {
      const double factor = into[k];
      for (std::size_t at = 0; at < rank; ++at) weights[at] += factor * products[k * rank + at];
    }
    std::fill(into, into + i + 1, 0);
    for (std::size_t k = 0; k < rank; ++k) {
      for (std::size_t at = 0; at <= i; ++at) into[at] += weights[k] * rows[k * n + at];
    }
  }
  copy_lower_to_upper(a, n);
  return {};
}

}  // namespace engram::hebb
