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

void weighted_squares(std::size_t floats, const float* query, const float* weights,
                      std::span<const std::byte* const> rows, float* out) {
  score_list<WeightedSquare, kSquaresGroup>(query, weights, rows, floats, out);
}

using Doubles = hn::CappedTag<double, kLineFloats>;
using HalfFloats = hn::Rebind<float, Doubles>;
inline constexpr std::size_t kDoubleLanes = hn::MaxLanes(Doubles());

/// Rows that are added to a column before its sums are stored.
inline constexpr std::size_t kSumGroup = 8;

/// Vectors of a column: sums enough to hide the latency of their chains, which go through the rows.
inline constexpr std::size_t kColumnVectors = 8;
inline constexpr std::size_t kColumn = kColumnVectors * kDoubleLanes;

/// Adds kVectors vectors of `count` rows, from the float `first` on, to sums in registers. The rows
/// that come a group later are fetched: rows[r + kSumGroup] up to rows[last].
template <std::size_t kVectors>
HWY_INLINE void add_column(const double* factors, const std::byte* const* rows, std::size_t count,
                           std::size_t last, std::size_t first, double* sum) {
  const Doubles f64;
  const HalfFloats f32;
  hn::Vec<Doubles> sums[kVectors];
  for (std::size_t v = 0; v < kVectors; ++v) {
    sums[v] = hn::LoadU(f64, sum + first + v * kDoubleLanes);
  }
  for (std::size_t r = 0; r < count; ++r) {
    const float* const next = floats_of(rows[std::min(r + kSumGroup, last)]) + first;
    for (std::size_t i = 0; i < kVectors * kDoubleLanes; i += kLineFloats) {
      __builtin_prefetch(next + i, 0, kPrefetchLocality);
    }
    const float* const row = floats_of(rows[r]) + first;
    const auto factor = hn::Set(f64, factors[r]);
    for (std::size_t v = 0; v < kVectors; ++v) {
      const auto components = hn::PromoteTo(f64, hn::LoadU(f32, row + v * kDoubleLanes));
      sums[v] = hn::MulAdd(factor, components, sums[v]);
    }
  }
  for (std::size_t v = 0; v < kVectors; ++v) {
    hn::StoreU(sums[v], f64, sum + first + v * kDoubleLanes);
  }
}

void add_rows(std::size_t floats, const double* factors, std::span<const std::byte* const> rows,
              double* sum) {
  for (std::size_t i = 0; i < rows.size(); i += kSumGroup) {
    const std::size_t left = rows.size() - i;
    const std::size_t count = std::min(kSumGroup, left);
    std::size_t k = 0;
    for (; k + kColumn <= floats; k += kColumn) {
      add_column<kColumnVectors>(factors + i, rows.data() + i, count, left - 1, k, sum);
    }
    for (; k < floats; k += kLineFloats) {
      add_column<kLineFloats / kDoubleLanes>(factors + i, rows.data() + i, count, left - 1, k, sum);
    }
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
