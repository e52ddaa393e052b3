// SPDX-License-Identifier: Apache-2.0
// Vectors coded as bytes, and which pairs of them an integer product does not rule out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace engram::flat {

/// Bytes of codes that are multiplied at once. Codes are stored and padded in such words.
inline constexpr std::size_t kWordBytes = 4;

/// What is known of a vector that was coded: it is scale * codes plus an error.
struct Code {
  float scale;           ///< zero, or far from underflow
  float error;           ///< at least the Euclidean norm of the error; NaN or infinite if that is
  std::int32_t sum;      ///< of the codes
  std::int32_t squares;  ///< the sum of the codes' squares
};

/// Queries side by side. f of query i and row r is
///   scale[i] * row.scale[r] * (start[i] + product of their codes)
///     + error_weight[i] * row.error[r] + offset_weight[i] * row.offset[r].
struct QueryTile {
  const std::uint32_t* codes;  ///< [words][ByteProduct::tile_queries], signed bytes
  const std::int32_t* start;   ///< these and below: [tile_queries]
  const float* scale;
  const float* error_weight;
  const float* offset_weight;
  const float* cut;
};

/// Rows side by side.
struct RowPanel {
  const std::uint32_t* codes;  ///< [words][ByteProduct::panel_rows], bytes above row_zero
  const float* scale;          ///< these and below: [panel_rows]
  const float* error;
  const float* offset;
};

inline constexpr std::size_t kMaxTileQueries = 16;
inline constexpr std::size_t kMaxPanelRows = 32;

/// One instruction set's functions. Rows are coded as code + row_zero in an unsigned byte, queries
/// as a signed byte.
struct ByteProduct {
  std::string_view name;
  std::size_t panel_rows;    ///< at most kMaxPanelRows
  std::size_t tile_queries;  ///< at most kMaxTileQueries
  std::int32_t row_limit;    ///< codes of rows lie in [-row_limit, row_limit]
  std::int32_t row_zero;

  /// Codes vector - centre in [-limit, limit] and writes code + zero. All arrays: [floats], a
  /// multiple of 16. Codes are within the limit whatever the vector holds, NaN included.
  /// `next` is fetched meanwhile: what will be coded after this vector.
  Code (*encode)(const float* vector, const float* centre, const float* next, std::size_t floats,
                 std::int32_t limit, std::int32_t zero, std::uint8_t* codes);

  /// survivors[i], bit r: whether f of query i and row r is not below cut[i]; true if it is NaN.
  /// The product is exact, f is computed in float32. Returns whether there is any.
  bool (*filter)(const QueryTile& queries, const RowPanel& rows, std::size_t words,
                 std::uint32_t* survivors);
};

inline constexpr std::int32_t kQueryLimit = 127;

/// One for each instruction set of this machine that has a fast product of bytes, best first; may
/// be empty.
std::span<const ByteProduct> byte_products();

}  // namespace engram::flat
