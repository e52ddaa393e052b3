// SPDX-License-Identifier: Apache-2.0
// Vectors in 8, 4 or 1 bits a component: scalar quantisation with an offset and a scale of each
// vector's own, the one-level form of LVQ [Aguerrebere et al. 2023, eq. 2-4] without its mean.
// A vector's code depends on that vector alone, so the first is coded like the last, and replaying
// a journal gives the same codes.
//
// With L = 255, 15 or 1, component j of a row stands for offset + scale * c[j], where c[j] in 0..L
// is the code. Of 8 and 4 bits offset is the least component and scale the L-th part of the range.
// One bit is a sign, 1 for what is above 0, and offset = -m, scale = 2m: under l2 m is the mean
// magnitude, which leaves the least error; else the root of the mean square, which keeps the
// length, so that under cosine two rows are 2 H / dim apart, H being the bits that differ.
//
// A row, padded to as few bytes as it can have without touching more cache lines:
//   sq8  c[0], c[1], ...
//   sq4  a byte for c[j] + 16 * c[j + h], j < h = ceil(dim / 2)
//   bin  a byte for c[8 i] + 2 * c[8 i + 1] + ... + 128 * c[8 i + 7]
//   zeros, and at the row's end a CodeHeader (its last number only under l2)
//
// A large constant part in a few components widens every range, and codes of the rest are coarse.
// So there is a second form, *along an axis*: what a vector has along that unit vector is a number
// of its header, and the remainder is coded, with offset and scale rounded to 16 bits to make room.
// The axis is the direction of the mean of some vectors, and the only thing that is learnt: whoever
// codes along it says from which, and keeps it. It is not the mean itself: a vector unlike those
// loses nothing by it, for the remainder is never longer than the vector.
//
// Signs along an axis are those of the remainder x, and are for estimates alone: m = |x|^2 /
// sum |x_j| makes the product of the row with x itself |x|^2, so that products with others are
// neither too large nor too small on average [Gao & Long 2024, section 3.2, without the rotation],
// and the squared norm is that of x.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "core/element.h"
#include "core/metric.h"
#include "core/row.h"

namespace engram {

/// What a row says of its vector beside the codes.
struct CodeHeader {
  float offset;
  float scale;
  float sum;           ///< of the components that the codes stand for
  float squared_norm;  ///< of the vector that they stand for; only l2 needs it
  float along = 0;     ///< what the vector has along the axis, if there is one
};

/// The same as it lies at the end of a row that is coded along an axis.
struct HeaderAlong {
  float along;
  std::uint16_t offset;  ///< the upper half of a float32, as is scale
  std::uint16_t scale;
  float sum;
  float squared_norm;
};
static_assert(sizeof(HeaderAlong) == 4 * sizeof(float));

/// The float32 whose upper 16 bits these are, and whose lower ones are 0.
constexpr float from_upper_half(std::uint16_t half) noexcept {
  return std::bit_cast<float>(std::uint32_t{half} << 16);
}

/// The highest code.
constexpr unsigned max_code(Element element) noexcept {
  if (element == Element::kBin) return 1;
  return element == Element::kSq8 ? 255 : 15;
}

/// Bytes of a row that hold codes. element: not kF32.
constexpr std::size_t code_bytes(Element element, std::size_t dim) noexcept {
  if (element == Element::kBin) return (dim + 7) / 8;
  return element == Element::kSq8 ? dim : (dim + 1) / 2;
}

/// Without the squared norm 100 components of 4 bits fit in one cache line.
constexpr std::size_t header_bytes(Metric metric) noexcept {
  return (metric == Metric::kL2 ? 4 : 3) * sizeof(float);
}

/// Bytes from one row to the next, all rows being whole cache lines: so float32 is stored, and so
/// codes were before store.codes and version 6 of hnsw's structure.
constexpr std::size_t whole_line_row_bytes(Element element, Metric metric,
                                           std::size_t dim) noexcept {
  if (element == Element::kF32) return row_bytes(dim);
  return round_up(code_bytes(element, dim) + header_bytes(metric), kRowAlignment);
}

/// Bytes from one row to the next, of any element. Of codes a multiple of 16, if rows are short and
/// touch no more lines for it: of 384 components of 4 bits under l2 208, four lines, not 256. The
/// codes are whole lines as far as kernels read them.
constexpr std::size_t row_bytes(Element element, Metric metric, std::size_t dim) noexcept {
  constexpr std::size_t kStep = 16;
  constexpr std::size_t kLongRow = 4096;  // a sixty-fourth of it is saved, at most
  const std::size_t lines = whole_line_row_bytes(element, metric, dim);
  if (element == Element::kF32 || lines > kLongRow) return lines;
  const std::size_t codes = code_bytes(element, dim);
  const std::size_t packed =
      std::max(round_up(codes + header_bytes(metric), kStep), round_up(codes, kRowAlignment));
  // Rows of whole lines and 48 bytes would touch one line more from some starts.
  return packed % kRowAlignment == kRowAlignment - kStep ? lines : packed;
}

/// What lies at an address, aligned or not. Headers are read number by number: a copy of as many as
/// the metric has would go through memory.
template <class T>
T read_number(const std::byte* address) noexcept {
  T number;
  std::memcpy(&number, address, sizeof number);
  return number;
}

/// The header of the row of `bytes` at `row`; squared_norm is 0 where it is not stored.
inline CodeHeader read_header(const std::byte* row, std::size_t bytes, Metric metric) noexcept {
  const std::byte* const header = row + bytes - header_bytes(metric);
  const auto number = [header](std::size_t offset) { return read_number<float>(header + offset); };
  const std::size_t norm = offsetof(CodeHeader, squared_norm);
  return {.offset = number(offsetof(CodeHeader, offset)),
          .scale = number(offsetof(CodeHeader, scale)),
          .sum = number(offsetof(CodeHeader, sum)),
          .squared_norm = metric == Metric::kL2 ? number(norm) : 0};
}

/// Component j's bit in a row of signs.
inline unsigned sign_at(const std::byte* row, std::size_t j) noexcept {
  return std::to_integer<unsigned>(row[j / 8]) >> (j % 8) & 1;
}

/// Codes `values` ([dim], a float32 row: checked, and under cosine normalised) into `row`
/// (row_bytes(element, metric, dim) bytes). element: not kF32.
void encode_codes(Element element, Metric metric, std::span<const float> values, std::byte* row);

/// The same along `axis` ([dim], of length one).
void encode_along(Element element, Metric metric, std::span<const float> axis,
                  std::span<const float> values, std::byte* row);

/// The header of such a row.
inline CodeHeader read_header_along(const std::byte* row, std::size_t bytes,
                                    Metric metric) noexcept {
  const std::byte* const header = row + bytes - header_bytes(metric);
  const auto number = [header](std::size_t offset) { return read_number<float>(header + offset); };
  const auto rounded = [header](std::size_t offset) {
    return from_upper_half(read_number<std::uint16_t>(header + offset));
  };
  const std::size_t norm = offsetof(HeaderAlong, squared_norm);
  return {.offset = rounded(offsetof(HeaderAlong, offset)),
          .scale = rounded(offsetof(HeaderAlong, scale)),
          .sum = number(offsetof(HeaderAlong, sum)),
          .squared_norm = metric == Metric::kL2 ? number(norm) : 0,
          .along = number(offsetof(HeaderAlong, along))};
}

/// What `values` have along `axis`; they keep the remainder. Both [dim].
double split_along(std::span<const float> axis, std::span<float> values) noexcept;

/// The direction of the mean of some rows ([n][dim], n > 0), if codes along it have half the error
/// or less; or if under l2 squared norms are so much larger than distances that they cancel; or for
/// signs, which say little of components that are alike in all rows. Else nothing.
std::vector<float> find_axis(Element element, Metric metric, std::span<const float> rows,
                             std::size_t dim);

/// values[j] = offset + scale * c[j]. values: [dim].
void decode_codes(Element element, Metric metric, const std::byte* row, std::span<float> values);

}  // namespace engram
