// SPDX-License-Identifier: Apache-2.0
// What a vector must be, and the form in which it is stored and compared.
#pragma once

#include <cstddef>
#include <span>

#include "core/aligned_buffer.h"
#include "core/metric.h"
#include "core/result.h"

namespace engram {

inline constexpr std::size_t kMaxDimension = 65'536;

/// The largest Euclidean norm of a vector, 2^62. Within it no product, sum or squared difference of
/// two vectors leaves the range of float32 (Cauchy-Schwarz), so no score is ever infinite or NaN.
inline constexpr double kMaxNorm = 4611686018427387904.0;

/// Bytes from one row to the next: `dim` float32, padded with zeros to kRowAlignment. Kernels read
/// the padding instead of running a scalar tail.
constexpr std::size_t row_bytes(std::size_t dim) noexcept {
  return round_up(dim * sizeof(float), kRowAlignment);
}

/// Bytes of a query: a row, and behind it what loops over codes, which read whole vectors from
/// where the codes of a half begin, may read but do not use.
constexpr std::size_t query_bytes(std::size_t dim) noexcept {
  return row_bytes(dim) + kRowAlignment;
}

/// Refuses NaN, infinity and vectors longer than kMaxNorm. Errors: kInvalidArgument with the
/// position and value of the first offending component.
Status check_vector(std::span<const float> vector);

/// Writes `vector` ([dim], checked) to `row` (row_bytes(dim) bytes, 4-byte aligned): under cosine
/// divided by its norm, zero padded. Returns the factor by which decode_row gives the vector back:
/// its norm under cosine, else 1. A zero vector stays zero. A vector whose norm is 1 to within
/// float32's precision is stored as it is, so unit vectors come back bit for bit.
float encode_row(Metric metric, std::span<const float> vector, std::byte* row);

/// vector[i] = row[i] * factor. vector: [dim].
void decode_row(const std::byte* row, float factor, std::span<float> vector);

}  // namespace engram
