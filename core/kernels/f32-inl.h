// SPDX-License-Identifier: Apache-2.0
// What one instruction set's loops over float32 rows share; included by simd-inl.h and
// algebra-inl.h once per target.
//
// A score is summed in this order, whatever the batch: vectors 0, 2, 4... of the row go into one
// accumulator and vectors 1, 3, 5... into another, with fused multiply-adds where the target has
// them; the two are added; then, in every block of four lanes, (0 + 2) + (1 + 3); then the blocks,
// halves upon halves. So a row's score has the same bits alone, in a batch, gathered or scanned; it
// differs between targets, within gamma_n of the sum of the absolute terms (Higham 2002, 3.1).

// A guard that lets every target in once.
#if defined(ENGRAM_CORE_KERNELS_F32_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ENGRAM_CORE_KERNELS_F32_INL_H_
#undef ENGRAM_CORE_KERNELS_F32_INL_H_
#else
#define ENGRAM_CORE_KERNELS_F32_INL_H_
#endif

#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace engram::kernels {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

// Rows are padded to 16 floats, which every vector length up to that divides.
inline constexpr std::size_t kLineFloats = kRowAlignment / sizeof(float);
using Tag = hn::CappedTag<float, kLineFloats>;
using Vector = hn::Vec<Tag>;

inline constexpr std::size_t kLanes = hn::MaxLanes(Tag());
inline constexpr std::size_t kAccumulators = 2;
inline constexpr std::size_t kStep = kAccumulators * kLanes;

inline constexpr bool kHas32Registers = HWY_TARGET <= HWY_AVX3 || HWY_ARCH_ARM_A64;

/// Rows whose lanes are added up together.
inline constexpr std::size_t kBlock = 4;

/// How much of a row to fetch while the group before it is scored: short rows as a whole; of a long
/// one the head, for then the hardware sees a stream, and each prefetch takes the place of a load.
/// On Zen 4 eight lines of 384 dimensions cost 6 % in L1, two 2 % and one 1 %; from DRAM eight gain
/// 10 % over two when nothing else runs, and nothing measurable when something does; one loses 1 to
/// 4 % to two, and none 10 %. Into the second-level cache, for the first has too few outstanding
/// misses: rows of 100 dimensions at random from DRAM are read 1.4 times as fast as without
/// prefetch, by way of the first level only 1.1 times.
inline constexpr std::size_t kShortFloats = 8 * kLineFloats;
inline constexpr std::size_t kHeadFloats = kLineFloats;
inline constexpr int kPrefetchLocality = 2;

/// The least of the sums so far, lane by lane. They are watched on their way to memory, from where
/// they could not be loaded again without a wait.
using Block = hn::CappedTag<float, kBlock>;
using Least = hn::Vec<Block>;

HWY_INLINE Least no_least() {
  return hn::Set(Block(), std::numeric_limits<float>::infinity());
}
HWY_INLINE void watch(hn::Vec<Block> sums, Least& least) {
  least = hn::Min(sums, least);
}
/// Whether one was below kLeastSquare.
HWY_INLINE bool any_small(Least least) {
  return !hn::AllFalse(Block(), hn::Lt(least, hn::Set(Block(), kLeastSquare)));
}

#if HWY_TARGET == HWY_SCALAR
/// Writes the only lane of four vectors.
HWY_INLINE void store_sums(const Vector* v, float* out, Least& least) {
  for (std::size_t i = 0; i < kBlock; ++i) {
    watch(v[i], least);
    out[i] = hn::GetLane(v[i]);
  }
}
#else
/// Adds up blocks of four lanes, halves upon halves, and writes the block that is left.
template <class D>
HWY_INLINE void store_block_sum(D d, hn::Vec<D> blocks, float* out, Least& least) {
  if constexpr (hn::MaxLanes(D()) <= kBlock) {
    watch(blocks, least);
    hn::StoreU(blocks, d, out);
  } else {
    const hn::Half<D> half;
    store_block_sum(half, hn::Add(hn::LowerHalf(half, blocks), hn::UpperHalf(half, blocks)), out,
                    least);
  }
}

/// Writes the sums of the lanes of four vectors, which are added as they are transposed.
HWY_INLINE void store_sums(const Vector* v, float* out, Least& least) {
  const Tag f32;
  const hn::Repartition<std::uint64_t, Tag> u64;
  // Lanes of a block: a0+a2, b0+b2, a1+a3, b1+b3; and the same of c and d.
  const Vector ab = hn::Add(hn::InterleaveLower(f32, v[0], v[1]),  //
                            hn::InterleaveUpper(f32, v[0], v[1]));
  const Vector cd = hn::Add(hn::InterleaveLower(f32, v[2], v[3]),  //
                            hn::InterleaveUpper(f32, v[2], v[3]));
  const auto ab_pairs = hn::BitCast(u64, ab);
  const auto cd_pairs = hn::BitCast(u64, cd);
  const Vector blocks = hn::Add(hn::BitCast(f32, hn::InterleaveLower(u64, ab_pairs, cd_pairs)),
                                hn::BitCast(f32, hn::InterleaveUpper(u64, ab_pairs, cd_pairs)));
  store_block_sum(f32, blocks, out, least);
}
#endif

/// Writes the sums of the lanes of each vector.
template <std::size_t kRows>
HWY_INLINE void store_all_sums(const Vector (&v)[kRows], float* out, Least& least) {
  constexpr std::size_t kWhole = kRows / kBlock * kBlock;
  for (std::size_t r = 0; r < kWhole; r += kBlock) store_sums(v + r, out + r, least);
  if constexpr (kWhole < kRows) {
    Vector rest[kBlock];
    for (std::size_t r = 0; r < kBlock; ++r) rest[r] = v[kWhole + r < kRows ? kWhole + r : kWhole];
    float sums[kBlock];
    store_sums(rest, sums, least);
    for (std::size_t r = kWhole; r < kRows; ++r) out[r] = sums[r - kWhole];
  }
}

/// Adds the terms of the components [begin, end) of kRows rows to their two sums. begin: a multiple
/// of kStep; end: of kLineFloats. Term::add(query, weights, row, sum) adds a vector's terms to a
/// sum; where they have no weights the query stands for them, and its loads are the same. kAhead:
/// how many floats ahead of the first row to fetch, or 0.
template <class Term, std::size_t kRows, std::size_t kAhead = 0>
HWY_INLINE void add_terms(const float* query, const float* weights,
                          const float* const (&rows)[kRows], std::size_t begin, std::size_t end,
                          Vector (&even)[kRows], Vector (&odd)[kRows]) {
  const Tag f32;
  std::size_t i = begin;
  for (; i + kStep <= end; i += kStep) {
    if constexpr (kAhead != 0) {
      for (std::size_t line = 0; line < kStep; line += kLineFloats) {
        __builtin_prefetch(rows[0] + i + line + kAhead, 0, kPrefetchLocality);
      }
    }
    const Vector q0 = hn::LoadU(f32, query + i);
    const Vector q1 = hn::LoadU(f32, query + i + kLanes);
    const Vector w0 = hn::LoadU(f32, weights + i);
    const Vector w1 = hn::LoadU(f32, weights + i + kLanes);
    for (std::size_t r = 0; r < kRows; ++r) {
      even[r] = Term::add(q0, w0, hn::LoadU(f32, rows[r] + i), even[r]);
      odd[r] = Term::add(q1, w1, hn::LoadU(f32, rows[r] + i + kLanes), odd[r]);
    }
  }
  if (i < end) {  // a last line, where one vector is a line
    const Vector q0 = hn::LoadU(f32, query + i);
    const Vector w0 = hn::LoadU(f32, weights + i);
    for (std::size_t r = 0; r < kRows; ++r) {
      even[r] = Term::add(q0, w0, hn::LoadU(f32, rows[r] + i), even[r]);
    }
  }
}

/// Scores kRows rows against one query. `floats` is a multiple of kLineFloats.
template <class Term, std::size_t kRows, std::size_t kAhead = 0>
HWY_INLINE void score_rows(const float* query, const float* weights,
                           const float* const (&rows)[kRows], std::size_t floats,
                           float* HWY_RESTRICT out, Least& least) {
  Vector even[kRows];
  Vector odd[kRows];
  for (std::size_t r = 0; r < kRows; ++r) even[r] = odd[r] = hn::Zero(Tag());
  add_terms<Term, kRows, kAhead>(query, weights, rows, 0, floats, even, odd);
  for (std::size_t r = 0; r < kRows; ++r) even[r] = hn::Add(even[r], odd[r]);
  store_all_sums(even, out, least);
}

const float* floats_of(const std::byte* bytes) noexcept {
  return reinterpret_cast<const float*>(bytes);
}

/// Asks for the next group of rows, or for what there is of it. g++ 12 and clang 14 keep these
/// prefetches, as their disassembly shows.
HWY_INLINE void prefetch_group(std::span<const std::byte* const> rows, std::size_t group,
                               std::size_t floats) {
  const std::size_t count = std::min(rows.size(), group);
  const std::size_t reach = floats <= kShortFloats ? floats : kHeadFloats;
  for (std::size_t r = 0; r < count; ++r) {
    for (std::size_t i = 0; i < reach; i += kLineFloats) {
      __builtin_prefetch(floats_of(rows[r]) + i, 0, kPrefetchLocality);
    }
  }
}

/// Scores the first kRows of `rows`.
template <class Term, std::size_t kRows>
HWY_INLINE void score_group(const float* query, const float* weights,
                            std::span<const std::byte* const> rows, std::size_t floats, float* out,
                            Least& least) {
  const float* group[kRows];
  for (std::size_t r = 0; r < kRows; ++r) group[r] = floats_of(rows[r]);
  score_rows<Term>(query, weights, group, floats, out, least);
}

/// Scores all of `rows`, kGroup >= kBlock of them at a time. Returns whether a score is below
/// kLeastSquare.
template <class Term, std::size_t kGroup>
HWY_INLINE bool score_list(const float* query, const float* weights,
                           std::span<const std::byte* const> rows, std::size_t floats, float* out) {
  Least least = no_least();
  for (; rows.size() >= kGroup; rows = rows.subspan(kGroup), out += kGroup) {
    prefetch_group(rows.subspan(kGroup), kGroup, floats);
    score_group<Term, kGroup>(query, weights, rows, floats, out, least);
  }
  if (rows.size() >= kBlock) {
    prefetch_group(rows.subspan(kBlock), kGroup, floats);  // of a list without a group, not yet
    score_group<Term, kBlock>(query, weights, rows, floats, out, least);
    rows = rows.subspan(kBlock);
    out += kBlock;
  }
  switch (rows.size()) {
    case 3:
      score_group<Term, 3>(query, weights, rows, floats, out, least);
      break;
    case 2:
      score_group<Term, 2>(query, weights, rows, floats, out, least);
      break;
    case 1:
      score_group<Term, 1>(query, weights, rows, floats, out, least);
      break;
    default:
      break;
  }
  return any_small(least);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace engram::kernels
HWY_AFTER_NAMESPACE();

#endif  // the guard
