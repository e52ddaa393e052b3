// SPDX-License-Identifier: Apache-2.0
// One instruction set's kernel; included by simd.cc once per target.

// A guard that lets every target in once.
#if defined(ENGRAM_CORE_KERNELS_SIMD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ENGRAM_CORE_KERNELS_SIMD_INL_H_
#undef ENGRAM_CORE_KERNELS_SIMD_INL_H_
#else
#define ENGRAM_CORE_KERNELS_SIMD_INL_H_
#endif

#include "core/kernels/f32-inl.h"
#include "core/kernels/pieces-inl.h"

HWY_BEFORE_NAMESPACE();
namespace engram::kernels {
namespace HWY_NAMESPACE {
namespace {

/// Rows that share the loads of a query, as many as the registers have room for: a load takes as
/// long as a multiply-add, so that each of the query's is time lost. Two sums of each row are more
/// than these need to hide the latency, but a row alone needs them.
inline constexpr std::size_t kGroup = kHas32Registers ? 8 : 6;

/// How far ahead a scan fetches, a line for each that it reads, where a vector is a line: that
/// consumes faster than the hardware's prefetching follows by itself (Zen 4, share of the bandwidth
/// at 768 and 1536 dimensions: from 90 to 98 % to 100 %; vectors of half a line lose 10 %).
inline constexpr std::size_t kScanAheadFloats = kLanes == kLineFloats ? 32 * kLineFloats : 0;

/// What a vector's components add to a score.
template <Metric kMetric>
struct ScoreTerm {
  static HWY_INLINE Vector add(Vector query, Vector /*weights*/, Vector row, Vector sum) {
    if constexpr (kMetric == Metric::kL2) {
      const Vector difference = hn::Sub(query, row);
      return hn::MulAdd(difference, difference, sum);
    } else {
      return hn::NegMulAdd(query, row, sum);
    }
  }
};

/// Whether one of `scores` is below kLeastSquare. The last vectors may overlap.
HWY_INLINE bool has_small(std::span<const float> scores) {
  const Tag f32;
  if (scores.size() < kLanes) {
    bool found = false;
    for (const float score : scores) found |= score < kLeastSquare;
    return found;
  }
  const Vector least = hn::Set(f32, kLeastSquare);
  const std::size_t last = scores.size() - kLanes;
  auto small = hn::Lt(hn::LoadU(f32, scores.data() + last), least);
  for (std::size_t i = 0; i < last; i += kLanes) {
    small = hn::Or(small, hn::Lt(hn::LoadU(f32, scores.data() + i), least));
  }
  return !hn::AllFalse(f32, small);
}

template <Metric kMetric>
class SimdKernel final : public F32Kernel {
 public:
  using F32Kernel::F32Kernel;

  void gather(Query query, std::span<const std::byte* const> rows,
              std::span<float> out) const noexcept override {
    const float* const q = floats_of(query.data);
    const bool has_small = score_list<Term, kGroup>(q, q, rows, row_floats(), out.data());
    if (kMetric == Metric::kL2 && has_small) rescore_gathered(query, rows, out);
  }

  /// A partial sum bounds a score where no term is negative. A few rows are not enough to share the
  /// query's loads once some are left.
  void gather_within(Query query, std::span<const std::byte* const> rows, float limit,
                     std::span<float> out) const noexcept override {
    if constexpr (kMetric == Metric::kL2) {
      if (row_floats() >= kLeastPiecedFloats && rows.size() >= kGroup && limit >= kLeastSquare &&
          limit < std::numeric_limits<float>::max()) {
        return gather_pieces(query, rows, limit, out);
      }
    }
    gather(query, rows, out);
  }

  /// Row by row: one stream through memory, which the hardware prefetches better than it does four
  /// (30 against 17 GB/s at 768 dimensions, Zen 4).
  void scan(Query query, const std::byte* rows, std::span<float> out) const noexcept override {
    const float* const q = floats_of(query.data);
    Least unseen = no_least();  // costs a scan more than a look at all scores afterwards
    for (std::size_t i = 0; i < out.size(); ++i) {
      const float* const row[1] = {floats_of(rows + i * stride())};
      score_rows<Term, 1, kScanAheadFloats>(q, q, row, row_floats(), &out[i], unseen);
    }
    if (kMetric == Metric::kL2 && has_small(out)) rescore_scanned(query, rows, out);
  }

 private:
  using Term = ScoreTerm<kMetric>;

  /// limit: finite, at least kLeastSquare.
  void gather_pieces(Query query, std::span<const std::byte* const> rows, float limit,
                     std::span<float> out) const noexcept {
    for (std::size_t i = 0; i < rows.size(); i += kPieced) {
      const auto some = rows.subspan(i, std::min(kPieced, rows.size() - i));
      const auto scores = out.subspan(i, some.size());
      PieceScorer<Term, kGroup> scorer(floats_of(query.data), some, scores.data());
      if (scorer.run(row_floats(), limit)) rescore_gathered(query, some, scores);
    }
  }

  std::size_t row_floats() const noexcept { return stride() / sizeof(float); }
};

/// Cosine is the dot product of what prepare() and stored rows have normalised.
std::unique_ptr<Kernel> make_simd_kernel(std::string_view name, Metric metric, std::size_t dim) {
  if (metric == Metric::kL2) return std::make_unique<SimdKernel<Metric::kL2>>(name, metric, dim);
  return std::make_unique<SimdKernel<Metric::kDot>>(name, metric, dim);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace engram::kernels
HWY_AFTER_NAMESPACE();

#endif  // the guard
