// SPDX-License-Identifier: Apache-2.0
// Scoring rows in pieces, and no further than a limit: partial distances [Bei1985];
// included by simd-inl.h once per target.
//
// The squares of a distance are not negative, and rounding is monotone: what is summed when a row
// is left is not greater than its score would be. So a row whose partial sum is beyond the limit
// has a score beyond it. A row that is scored to its end has the bits that score_rows() gives it:
// the pieces add to the same two sums in the same order.

// A guard that lets every target in once.
#if defined(ENGRAM_CORE_KERNELS_PIECES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ENGRAM_CORE_KERNELS_PIECES_INL_H_
#undef ENGRAM_CORE_KERNELS_PIECES_INL_H_
#else
#define ENGRAM_CORE_KERNELS_PIECES_INL_H_
#endif

#include "core/kernels/f32-inl.h"

HWY_BEFORE_NAMESPACE();
namespace engram::kernels {
namespace HWY_NAMESPACE {
namespace {

/// Where rows are cut, in sixteenths. Of the 900 nearest images of fashion-mnist-784 some 28 % are
/// beyond the 64th at the first cut, and 62 % at the second.
inline constexpr std::size_t kCuts[] = {10, 13};

/// Where less than one row in so many is left at the first cut, there is no second.
inline constexpr std::size_t kFew = 8;

/// Rows that are scored in pieces together.
inline constexpr std::size_t kPieced = 64;

/// Shorter rows are scored whole.
inline constexpr std::size_t kLeastPiecedFloats = 384;

/// What one row has summed so far.
struct alignas(kRowAlignment) PieceSums {
  float even[kLanes];
  float odd[kLanes];
};

/// One query and at most kPieced rows.
template <class Term, std::size_t kGroup>
class PieceScorer {
 public:
  /// rows: [n], out: [n].
  PieceScorer(const float* query, std::span<const std::byte* const> rows, float* out)
      : query_(query), rows_(rows.data()), out_(out), count_(rows.size()) {
    for (std::size_t i = 0; i < count_; ++i) live_[i] = static_cast<std::uint8_t>(i);
  }

  /// Scores them as far as `limit`. Returns whether a score is below kLeastSquare, which is
  /// at most the limit.
  bool run(std::size_t floats, float limit) {
    const std::size_t all = count_;
    std::size_t begin = 0;
    for (const std::size_t sixteenths : kCuts) {
      const std::size_t end = floats * sixteenths / 16 / kStep * kStep;
      score_all(begin, end);
      leave(limit);
      begin = end;
      if (count_ * kFew > all * (kFew - 1)) break;
    }
    score_all(begin, floats);
    return any_small(least_);
  }

 private:
  /// Adds a piece to every live row.
  HWY_INLINE void score_all(std::size_t begin, std::size_t end) {
    least_ = no_least();
    std::size_t i = 0;
    for (; i + kGroup <= count_; i += kGroup) score<kGroup>(i, begin, end);
    if (i + kBlock <= count_) {
      score<kBlock>(i, begin, end);
      i += kBlock;
    }
    switch (count_ - i) {
      case 3:
        score<3>(i, begin, end);
        break;
      case 2:
        score<2>(i, begin, end);
        break;
      case 1:
        score<1>(i, begin, end);
        break;
      default:
        break;
    }
  }

  /// Adds a piece to the live rows [first, first + kRows).
  template <std::size_t kRows>
  HWY_INLINE void score(std::size_t first, std::size_t begin, std::size_t end) {
    const Tag f32;
    const std::uint8_t* const live = live_ + first;
    const float* rows[kRows];
    Vector even[kRows];
    Vector odd[kRows];
    for (std::size_t r = 0; r < kRows; ++r) {
      rows[r] = floats_of(rows_[live[r]]);
      const PieceSums& sums = sums_[live[r]];
      even[r] = begin == 0 ? hn::Zero(f32) : hn::Load(f32, sums.even);
      odd[r] = begin == 0 ? hn::Zero(f32) : hn::Load(f32, sums.odd);
    }
    prefetch_next<kRows>(first + kRows, begin);
    add_terms<Term, kRows>(query_, query_, rows, begin, end, even, odd);
    for (std::size_t r = 0; r < kRows; ++r) {
      PieceSums& sums = sums_[live[r]];
      hn::Store(even[r], f32, sums.even);
      hn::Store(odd[r], f32, sums.odd);
      even[r] = hn::Add(even[r], odd[r]);
    }
    float totals[kRows];
    store_all_sums(even, totals, least_);
    for (std::size_t r = 0; r < kRows; ++r) out_[live[r]] = totals[r];
  }

  /// Asks for the heads of the pieces of the next rows, see prefetch_group().
  template <std::size_t kRows>
  HWY_INLINE void prefetch_next(std::size_t first, std::size_t begin) const {
    for (std::size_t i = first; i < std::min(count_, first + kRows); ++i) {
      __builtin_prefetch(floats_of(rows_[live_[i]]) + begin, 0, kPrefetchLocality);
    }
  }

  /// Goes on without those that are beyond `limit`.
  HWY_INLINE void leave(float limit) {
    std::size_t kept = 0;
    for (std::size_t i = 0; i < count_; ++i) {
      const std::uint8_t row = live_[i];
      live_[kept] = row;
      kept += static_cast<std::size_t>(!(out_[row] > limit));
    }
    count_ = kept;
  }

  const float* const query_;
  const std::byte* const* const rows_;
  float* const out_;
  std::size_t count_;           // of live_
  std::uint8_t live_[kPieced];  // rows that are within the limit so far
  Least least_ = no_least();    // of the last piece's sums
  PieceSums sums_[kPieced];
};

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace engram::kernels
HWY_AFTER_NAMESPACE();

#endif  // the guard
