// SPDX-License-Identifier: Apache-2.0
// One instruction set's scan of a block; included by simd_blocks.cc once per target.

// A guard that lets every target in once.
#if defined(ENGRAM_CORE_KERNELS_BLOCKS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ENGRAM_CORE_KERNELS_BLOCKS_INL_H_
#undef ENGRAM_CORE_KERNELS_BLOCKS_INL_H_
#else
#define ENGRAM_CORE_KERNELS_BLOCKS_INL_H_
#endif

#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace engram::kernels {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET == HWY_SCALAR

void scan(std::size_t groups, const std::byte* block, const std::uint8_t* table,
          std::int32_t* sums) {
  scalar_block_loops().scan(groups, block, table, sums);
}

#else

// A lookup stays within 16 bytes: one table for every such part of a vector.
using Bytes = hn::CappedTag<std::uint8_t, kBlockCodes>;
using Words = hn::RepartitionToWide<Bytes>;
using WordVector = hn::Vec<Words>;

inline constexpr std::size_t kByteLanes = hn::MaxLanes(Bytes());
inline constexpr std::size_t kWordLanes = kByteLanes / 2;

/// After so many groups a sum of 16 bits may be full: 255 * 256 < 2^16.
inline constexpr std::size_t kFull = 256;

/// Adds up bytes by twos: `all` sums words, modulo 2^16, and `odd` their upper bytes, so the sums
/// of the lower ones are the difference.
HWY_INLINE void add_bytes(hn::Vec<Bytes> selected, WordVector& all, WordVector& odd) {
  const WordVector words = hn::BitCast(Words(), selected);
  all = hn::Add(all, words);
  odd = hn::Add(odd, hn::ShiftRight<8>(words));
}

/// Adds the totals to the sums of as many codes as a vector has bytes.
HWY_INLINE void add_totals(WordVector all, WordVector odd, std::int32_t* HWY_RESTRICT sums) {
  HWY_ALIGN std::uint16_t lower[kWordLanes];
  HWY_ALIGN std::uint16_t upper[kWordLanes];
  hn::Store(hn::Sub(all, hn::ShiftLeft<8>(odd)), Words(), lower);
  hn::Store(odd, Words(), upper);
  for (std::size_t i = 0; i < kWordLanes; ++i) {
    sums[2 * i] += lower[i];
    sums[2 * i + 1] += upper[i];
  }
}

/// Adds to `sums` what the codes of a vector select in up to kFull groups.
HWY_INLINE void add_groups(std::size_t groups, const std::byte* block, const std::uint8_t* table,
                           std::int32_t* HWY_RESTRICT sums) {
  const auto low_half = hn::Set(Bytes(), std::uint8_t{0x0F});
  WordVector all = hn::Zero(Words());
  WordVector odd = hn::Zero(Words());
  for (std::size_t g = 0; g < groups; g += 2) {
    const auto* const bytes = reinterpret_cast<const std::uint8_t*>(block + block_bytes(g));
    const auto pairs = hn::LoadU(Bytes(), bytes);
    const auto lower = hn::And(pairs, low_half);
    const auto upper =
        hn::And(hn::BitCast(Bytes(), hn::ShiftRight<4>(hn::BitCast(Words(), pairs))), low_half);
    const auto* const tables = table + g * kGroupEntries;
    add_bytes(hn::TableLookupBytes(hn::LoadDup128(Bytes(), tables), lower), all, odd);
    add_bytes(hn::TableLookupBytes(hn::LoadDup128(Bytes(), tables + kGroupEntries), upper), all,
              odd);
  }
  add_totals(all, odd, sums);
}

void scan(std::size_t groups, const std::byte* block, const std::uint8_t* table,
          std::int32_t* sums) {
  for (std::size_t i = 0; i < kBlockCodes; ++i) sums[i] = 0;
  for (std::size_t g = 0; g < groups; g += kFull) {
    const std::size_t count = groups - g < kFull ? groups - g : kFull;
    for (std::size_t i = 0; i < kBlockCodes; i += kByteLanes) {
      add_groups(count, block + block_bytes(g) + i, table + g * kGroupEntries, sums + i);
    }
  }
}

#endif

BlockLoops make_block_loops(std::string_view name) {
  return {name, scan};
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace engram::kernels
HWY_AFTER_NAMESPACE();

#endif  // the guard
