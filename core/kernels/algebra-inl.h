// SPDX-License-Identifier: Apache-2.0
// One instruction set's loops of RowAlgebra; included by simd_algebra.cc once per target.

// A guard that lets every target in once.
#if defined(ENGRAM_CORE_KERNELS_ALGEBRA_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ENGRAM_CORE_KERNELS_ALGEBRA_INL_H_
#undef ENGRAM_CORE_KERNELS_ALGEBRA_INL_H_
#else
#define ENGRAM_CORE_KERNELS_ALGEBRA_INL_H_
#endif

#include "core/kernels/f32-inl.h"

HWY_BEFORE_NAMESPACE();
namespace engram::kernels {
namespace HWY_NAMESPACE {
namespace {

/// Rows that share the loads of the query and the weights, as many as the registers have room for.
inline constexpr std::size_t kSquaresGroup = kHas32Registers ? 8 : 4;

/// The weight is multiplied with a difference before its square: where a weight is large the
/// difference is small, and its square alone could underflow.
struct WeightedSquare {
  static HWY_INLINE Vector add(Vector query, Vector weights, Vector row, Vector sum) {
    const Vector difference = hn::Sub(query, row);
    return hn::MulAdd(hn::Mul(weights, difference), difference, sum);
  }
};

bool weighted_squares(std::size_t floats, const float* query, const float* weights,
                      std::span<const std::byte* const> rows, float* out) {
  return score_list<WeightedSquare, kSquaresGroup>(query, weights, rows, floats, out);
}

using Doubles = hn::CappedTag<double, kLineFloats>;
using HalfFloats = hn::Rebind<float, Doubles>;
inline constexpr std::size_t kDoubleLanes = hn::MaxLanes(Doubles());

/// Rows that are added at a time, line by line: a line's sums are loaded and stored once for all of
/// them, and as many rows that come next are fetched from as many places. Measured from the third
/// level on: experiments/SPEED.md.
inline constexpr std::size_t kSumGroup = 16;

/// Adds kRows rows to the sums, and fetches `next`, as many.
template <std::size_t kRows>
HWY_INLINE void add_group(std::size_t floats, const double* factors, const std::byte* const* rows,
                          const std::byte* const* next, double* sum) {
  constexpr std::size_t kVectors = kLineFloats / kDoubleLanes;
  const Doubles f64;
  const HalfFloats f32;
  for (std::size_t k = 0; k < floats; k += kLineFloats) {
    hn::Vec<Doubles> sums[kVectors];
    for (std::size_t v = 0; v < kVectors; ++v) {
      sums[v] = hn::LoadU(f64, sum + k + v * kDoubleLanes);
    }
    for (std::size_t r = 0; r < kRows; ++r) {
      __builtin_prefetch(floats_of(next[r]) + k, 0, kPrefetchLocality);
      const float* const row = floats_of(rows[r]) + k;
      const auto factor = hn::Set(f64, factors[r]);
      for (std::size_t v = 0; v < kVectors; ++v) {
        const auto components = hn::PromoteTo(f64, hn::LoadU(f32, row + v * kDoubleLanes));
        sums[v] = hn::MulAdd(factor, components, sums[v]);
      }
    }
    for (std::size_t v = 0; v < kVectors; ++v) {
      hn::StoreU(sums[v], f64, sum + k + v * kDoubleLanes);
    }
  }
}

void add_rows(std::size_t floats, const double* factors, std::span<const std::byte* const> rows,
              double* sum) {
  const std::byte* const* const all = rows.data();
  std::size_t i = 0;
  for (; i + kSumGroup <= rows.size(); i += kSumGroup) {
    const bool has_next = i + 2 * kSumGroup <= rows.size();
    add_group<kSumGroup>(floats, factors + i, all + i, all + i + (has_next ? kSumGroup : 0), sum);
  }
  constexpr std::size_t kFew = 4;
  for (; i + kFew <= rows.size(); i += kFew) {
    add_group<kFew>(floats, factors + i, all + i, all + i, sum);
  }
  for (; i < rows.size(); ++i) {
    add_group<1>(floats, factors + i, all + i, all + i, sum);
  }
}

AlgebraLoops make_algebra_loops(std::string_view name) {
  return {name, weighted_squares, add_rows};
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace engram::kernels
HWY_AFTER_NAMESPACE();

#endif  // the guard
