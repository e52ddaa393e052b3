// SPDX-License-Identifier: Apache-2.0
// Kernels over rows of codes (core/codes.h). What depends on the instruction set is two loops; the
// rest, and so every bit of an estimate, is the same on all machines.
//
// An estimate codes the query in 8 bits as well. With x = a + s c of the row and y = b + t p of the
// query, where p = c' - 128 so that it is signed and b = a' + 128 t,
//   x . y = b sum(x) + a t sum(p) + s t (c . p),   t sum(p) = sum(y) - dim b,
// and c . p is a dot product of bytes. Under l2 the squared norms of x and y complete it; where
// float32 lost both, the codes' differences are squared one by one.
//
// Against signs 4 bits of the query do, unsigned (p = c'), one plane of bits for each of them:
// c . p is the sum over b of 2^b popcount(c & plane b) [Gao & Long 2024, section 3.3]. Between two
// rows p has one bit, and c . p counts where both have it: the Hamming distance less what the sums
// complete.
//
// Where rows are coded along an axis, x and y are remainders, and what both have along it is added:
// the product of the two numbers, or under l2 the square of their difference. What remainders have
// along the axis after all, because they are rounded, is left out: it is error.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "core/codes.h"
#include "core/kernel.h"

namespace engram::kernels {

/// The layout of the codes of a row, and of the plane of a query that meets them: where the row has
/// `half` bytes, the plane has them rounded up to a line of kRowAlignment and filled up with zeros,
/// so a loop may run over whole lines and meet whatever the row has behind its codes. For sq4 there
/// are two such runs, for the lower halves of the row's bytes and for the upper ones; for bin four,
/// for the bits of the query's codes from the lowest on.
struct CodeShape {
  Element element;
  std::size_t dim;
  std::size_t half;        ///< code_bytes()
  std::size_t line_bytes;  ///< half, rounded up to whole lines
  std::size_t row_bytes;
};

/// Bits of a code of a query against signs.
inline constexpr std::size_t kBitPlanes = 4;

/// Code j of a row.
inline int code_at(const CodeShape& shape, const std::byte* row, std::size_t j) noexcept {
  if (shape.element == Element::kBin) return static_cast<int>(sign_at(row, j));
  if (shape.element == Element::kSq8) return std::to_integer<int>(row[j]);
  const bool is_lower = j < shape.half;
  return std::to_integer<int>(is_lower ? row[j] & std::byte{0x0F} : row[j - shape.half] >> 4);
}

/// Code j of a plane, as c . p has it.
inline int plane_at(const CodeShape& shape, const std::int8_t* plane, std::size_t j) noexcept {
  if (shape.element == Element::kBin) {
    const auto* const bits = reinterpret_cast<const std::byte*>(plane);
    unsigned code = 0;
    for (std::size_t b = 0; b < kBitPlanes; ++b)
      code |= sign_at(bits + b * shape.line_bytes, j) << b;
    return static_cast<int>(code);
  }
  return plane[j < shape.half ? j : shape.line_bytes + j - shape.half];
}

/// dots[i] = sum over j of c[j] p[j], c being the codes of rows[i], p those of `plane`. Exact.
using CodeDots = void (*)(const CodeShape& shape, const std::int8_t* plane,
                          std::span<const std::byte* const> rows, std::int32_t* dots);

/// The score of the vector that the row's codes stand for, against a query of float32: within
/// gamma_n of the sum of the absolute terms, as in f32-inl.h.
using DecodedScore = float (*)(const CodeShape& shape, const float* query, const std::byte* row,
                               CodeHeader header);

/// What an instruction set does for codes.
struct CodeLoops {
  std::string_view name;
  CodeDots dots_sq8;
  CodeDots dots_sq4;
  CodeDots dots_bin;
  DecodedScore l2;
  DecodedScore dot;
};

/// Plain loops, compiled for the baseline instruction set; `l2` and `dot` sum in double.
CodeLoops scalar_code_loops() noexcept;

/// One for each instruction set that was compiled in and that this machine has, best first, with
/// the names of simd_candidates().
std::vector<CodeLoops> simd_code_loops();

// What make_kernel() and make_estimator() make. element: not kF32.
std::unique_ptr<Kernel> make_code_kernel(const CodeLoops& loops, Metric metric, std::size_t dim,
                                         Element element);
std::unique_ptr<Kernel> make_code_estimator(const CodeLoops& loops, Metric metric, std::size_t dim,
                                            Element element, std::span<const float> axis);

}  // namespace engram::kernels
