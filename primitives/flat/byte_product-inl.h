// SPDX-License-Identifier: Apache-2.0
// One instruction set's product of bytes; included by byte_product.cc once per target.

// A guard that lets every target in once.
#if defined(ENGRAM_PRIMITIVES_FLAT_BYTE_PRODUCT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ENGRAM_PRIMITIVES_FLAT_BYTE_PRODUCT_INL_H_
#undef ENGRAM_PRIMITIVES_FLAT_BYTE_PRODUCT_INL_H_
#else
#define ENGRAM_PRIMITIVES_FLAT_BYTE_PRODUCT_INL_H_
#endif

#include <hwy/highway.h>

#include <array>
#include <cmath>
#include <cstring>

HWY_BEFORE_NAMESPACE();
namespace engram::flat {
namespace HWY_NAMESPACE {
namespace {

#if HWY_TARGET == HWY_AVX3_DL || HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2 || \
    HWY_TARGET == HWY_SSE4 || HWY_TARGET == HWY_SSSE3

namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::CappedTag<float, 16>;
using Ints = hn::RebindToSigned<Floats>;
using FloatVector = hn::Vec<Floats>;
using IntVector = hn::Vec<Ints>;

inline constexpr std::size_t kLanes = hn::MaxLanes(Floats());
inline constexpr std::size_t kPanelVectors = 2;
inline constexpr std::size_t kPanelRows = kPanelVectors * kLanes;

#if HWY_TARGET == HWY_AVX3_DL
inline constexpr std::size_t kTileQueries = 12;  // 24 of 32 registers are sums
inline constexpr std::int32_t kRowLimit = 127;
inline constexpr std::int32_t kRowZero = 128;

/// sums + the products of four bytes each. Highway 1.0.3 has no such operation.
HWY_INLINE IntVector add_products(IntVector sums, IntVector rows, IntVector queries) {
  asm("vpdpbusd %2, %1, %0" : "+v"(sums.raw) : "v"(rows.raw), "v"(queries.raw));
  return sums;
}
#else
inline constexpr std::size_t kTileQueries = kLanes == 16 ? 12 : 4;
// Seven bits, so that two products add up in 16 bits: 2 * 127 * 127 < 2^15.
inline constexpr std::int32_t kRowLimit = 63;
inline constexpr std::int32_t kRowZero = 64;

HWY_INLINE IntVector add_products(IntVector sums, IntVector rows, IntVector queries) {
#if HWY_TARGET == HWY_AVX3
  const __m512i pairs = _mm512_maddubs_epi16(rows.raw, queries.raw);
  const __m512i fours = _mm512_madd_epi16(pairs, _mm512_set1_epi16(1));
#elif HWY_TARGET == HWY_AVX2
  const __m256i pairs = _mm256_maddubs_epi16(rows.raw, queries.raw);
  const __m256i fours = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
#else
  const __m128i pairs = _mm_maddubs_epi16(rows.raw, queries.raw);
  const __m128i fours = _mm_madd_epi16(pairs, _mm_set1_epi16(1));
#endif
  return hn::Add(sums, IntVector{fours});
}
#endif

static_assert(kPanelRows <= kMaxPanelRows && kTileQueries <= kMaxTileQueries);

/// The largest magnitude of vector - centre.
HWY_INLINE float largest_component(const float* HWY_RESTRICT vector,
                                   const float* HWY_RESTRICT centre, std::size_t floats) {
  const Floats f32;
  FloatVector largest = hn::Zero(f32);
  for (std::size_t i = 0; i < floats; i += kLanes) {
    const FloatVector y = hn::Sub(hn::LoadU(f32, vector + i), hn::LoadU(f32, centre + i));
    largest = hn::Max(largest, hn::Abs(y));
  }
  return hn::GetLane(hn::MaxOfLanes(f32, largest));
}

/// Into the second-level cache, as in core/kernels. A row is read twice, and the second time memory
/// has nothing to do: 32 queries are answered 1.4 times as fast at 784 dimensions (Zen 4).
inline constexpr int kPrefetchLocality = 2;

Code encode(const float* vector, const float* HWY_RESTRICT centre, const float* next,
            std::size_t floats, std::int32_t limit, std::int32_t zero,
            std::uint8_t* HWY_RESTRICT codes) {
  // What is smaller than this is all error, lest scales and their products underflow.
  constexpr float kLeast = 0x1p-50F;
  const Floats f32;
  const Ints i32;
  const hn::Rebind<std::int8_t, Floats> i8;
  const float largest = largest_component(vector, centre, floats);
  const bool is_codable = largest >= kLeast;
  const float most = static_cast<float>(limit);
  const float scale = is_codable ? largest / most : 0.0F;
  const FloatVector step = hn::Set(f32, scale);
  const FloatVector inverse = hn::Set(f32, is_codable ? most / largest : 0.0F);
  FloatVector errors = hn::Zero(f32);
  IntVector sums = hn::Zero(i32);
  IntVector squares = hn::Zero(i32);
  for (std::size_t i = 0; i < floats; i += kLanes) {
    __builtin_prefetch(next + i, 0, kPrefetchLocality);
    const FloatVector y = hn::Sub(hn::LoadU(f32, vector + i), hn::LoadU(f32, centre + i));
    const FloatVector clamped =
        hn::Min(hn::Max(hn::Mul(y, inverse), hn::Set(f32, -most)), hn::Set(f32, most));
    const IntVector code = hn::NearestInt(clamped);
    const FloatVector error = hn::NegMulAdd(hn::ConvertTo(f32, code), step, y);
    errors = hn::MulAdd(error, error, errors);
    sums = hn::Add(sums, code);
    squares = hn::Add(squares, hn::Mul(code, code));
    // Wraps around where zero is 128: the byte is then to be read as unsigned.
    const auto bytes = hn::Add(hn::DemoteTo(i8, code), hn::Set(i8, static_cast<std::int8_t>(zero)));
    hn::StoreU(bytes, i8, reinterpret_cast<std::int8_t*>(codes + i));
  }
  const std::int32_t square = hn::GetLane(hn::SumOfLanes(i32, squares));
  // Enlarged by more than rounding and underflow can have taken: README.md, "Batches".
  const float norm = scale * std::sqrt(static_cast<float>(square));
  const float rest = std::sqrt(hn::GetLane(hn::SumOfLanes(f32, errors)));
  return {.scale = scale,
          .error = rest * 1.01F + norm * 0x1p-18F + 0x1p-52F,
          .sum = hn::GetLane(hn::SumOfLanes(i32, sums)),
          .squares = square};
}

/// One bit for each lane.
HWY_INLINE std::uint32_t bits_of(hn::Mask<Floats> mask) {
  std::array<std::uint8_t, 8> bytes{};
  hn::StoreMaskBits(Floats(), mask, bytes.data());
  std::uint32_t bits;
  std::memcpy(&bits, bytes.data(), sizeof(bits));
  return bits;
}

bool filter(const QueryTile& queries, const RowPanel& rows, std::size_t words,
            std::uint32_t* HWY_RESTRICT survivors) {
  const Floats f32;
  const Ints i32;
  IntVector sums[kTileQueries][kPanelVectors];
  HWY_UNROLL(16)
  for (std::size_t i = 0; i < kTileQueries; ++i) {
    for (std::size_t v = 0; v < kPanelVectors; ++v) sums[i][v] = hn::Set(i32, queries.start[i]);
  }
  const auto* HWY_RESTRICT row_words = reinterpret_cast<const std::int32_t*>(rows.codes);
  const auto* HWY_RESTRICT query_words = reinterpret_cast<const std::int32_t*>(queries.codes);
  for (std::size_t word = 0; word < words; ++word) {
    const IntVector first = hn::LoadU(i32, row_words);
    const IntVector second = hn::LoadU(i32, row_words + kLanes);
    HWY_UNROLL(16)
    for (std::size_t i = 0; i < kTileQueries; ++i) {
      const IntVector query = hn::Set(i32, query_words[i]);
      sums[i][0] = add_products(sums[i][0], first, query);
      sums[i][1] = add_products(sums[i][1], second, query);
    }
    row_words += kPanelRows;
    query_words += kTileQueries;
  }
  std::uint32_t any = 0;
  HWY_UNROLL(16)
  for (std::size_t i = 0; i < kTileQueries; ++i) {
    survivors[i] = 0;
    for (std::size_t v = 0; v < kPanelVectors; ++v) {
      const std::size_t at = v * kLanes;
      const FloatVector product =
          hn::Mul(hn::ConvertTo(f32, sums[i][v]), hn::LoadU(f32, rows.scale + at));
      const FloatVector offset =
          hn::Mul(hn::Set(f32, queries.offset_weight[i]), hn::LoadU(f32, rows.offset + at));
      const FloatVector slack = hn::MulAdd(hn::Set(f32, queries.error_weight[i]),
                                           hn::LoadU(f32, rows.error + at), offset);
      const FloatVector f = hn::MulAdd(product, hn::Set(f32, queries.scale[i]), slack);
      const auto survives = hn::Not(hn::Lt(f, hn::Set(f32, queries.cut[i])));
      if (!hn::AllFalse(f32, survives)) survivors[i] |= bits_of(survives) << at;
    }
    any |= survivors[i];
  }
  return any != 0;
}

std::optional<ByteProduct> make_byte_product() {
  return ByteProduct{.name = {},
                     .panel_rows = kPanelRows,
                     .tile_queries = kTileQueries,
                     .row_limit = kRowLimit,
                     .row_zero = kRowZero,
                     .encode = encode,
                     .filter = filter};
}

#else

std::optional<ByteProduct> make_byte_product() {
  return std::nullopt;
}

#endif  // targets with a fast product of bytes

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace engram::flat
HWY_AFTER_NAMESPACE();

#endif  // the guard
