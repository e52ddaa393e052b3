// SPDX-License-Identifier: Apache-2.0
// One instruction set's loops over codes; included by simd_codes.cc once per target.

// A guard that lets every target in once.
#if defined(ENGRAM_CORE_KERNELS_CODES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ENGRAM_CORE_KERNELS_CODES_INL_H_
#undef ENGRAM_CORE_KERNELS_CODES_INL_H_
#else
#define ENGRAM_CORE_KERNELS_CODES_INL_H_
#endif

#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace engram::kernels {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

// Codes are padded to 64 bytes, which every vector length up to that divides.
using Bytes = hn::CappedTag<std::uint8_t, kRowAlignment>;
using SignedBytes = hn::RebindToSigned<Bytes>;
#if HWY_TARGET == HWY_SCALAR
using Sums = hn::CappedTag<std::int32_t, 1>;
using Totals = hn::CappedTag<std::uint64_t, 1>;
#else
using Words = hn::RepartitionToWide<SignedBytes>;
using Sums = hn::RepartitionToWide<Words>;
using WideSums = hn::RepartitionToWide<Sums>;
using Totals = hn::RebindToUnsigned<WideSums>;
#endif
using ByteVector = hn::Vec<Bytes>;
using PlaneVector = hn::Vec<SignedBytes>;
using SumVector = hn::Vec<Sums>;

inline constexpr std::size_t kByteLanes = hn::MaxLanes(Bytes());

/// Rows that share the loads of a plane, enough to hide the latency of the multiplications.
inline constexpr std::size_t kGroup = 4;

/// Adds codes * plane to the lanes of two sums, of which a target may need only one.
#if HWY_TARGET == HWY_AVX3_DL
/// Highway 1.0.3 does not know the instruction, which adds four neighbours to a lane.
HWY_INLINE void add_products(ByteVector codes, PlaneVector plane, SumVector& sum,
                             SumVector& /*other*/) {
  __asm__("vpdpbusd %2, %1, %0" : "+v"(sum.raw) : "v"(codes.raw), "v"(plane.raw));
}
#elif HWY_TARGET == HWY_SCALAR
HWY_INLINE void add_products(ByteVector codes, PlaneVector plane, SumVector& sum,
                             SumVector& /*other*/) {
  sum = hn::Set(Sums(), hn::GetLane(sum) + std::int32_t{hn::GetLane(codes)} * hn::GetLane(plane));
}
#else
/// Widens to 16 bits: the instruction that multiplies bytes saturates.
HWY_INLINE void add_products(ByteVector codes, PlaneVector plane, SumVector& sum,
                             SumVector& other) {
  const Words words;
  const hn::Half<Bytes> half;
  const hn::Half<SignedBytes> signed_half;
  sum = hn::ReorderWidenMulAccumulate(Sums(), hn::PromoteTo(words, hn::LowerHalf(half, codes)),
                                      hn::PromoteTo(words, hn::LowerHalf(signed_half, plane)), sum,
                                      other);
  sum = hn::ReorderWidenMulAccumulate(Sums(), hn::PromoteTo(words, hn::UpperHalf(half, codes)),
                                      hn::PromoteTo(words, hn::UpperHalf(signed_half, plane)), sum,
                                      other);
}
#endif

HWY_INLINE ByteVector load_codes(const std::byte* row) {
  return hn::LoadU(Bytes(), reinterpret_cast<const std::uint8_t*>(row));
}

/// The upper four bits of each byte. There is no shift of bytes.
HWY_INLINE ByteVector upper_codes(ByteVector pairs) {
#if HWY_TARGET == HWY_SCALAR
  return hn::Set(Bytes(), static_cast<std::uint8_t>(hn::GetLane(pairs) >> 4));
#else
  const hn::RepartitionToWide<Bytes> words;
  return hn::And(hn::BitCast(Bytes(), hn::ShiftRight<4>(hn::BitCast(words, pairs))),
                 hn::Set(Bytes(), 0x0F));
#endif
}

#if HWY_TARGET != HWY_SCALAR
/// The sums of blocks of four lanes.
template <class D>
HWY_INLINE auto sum_blocks(D d, hn::Vec<D> v) {
  if constexpr (hn::MaxLanes(d) == 4) {
    return v;
  } else {
    const hn::Half<D> half;
    return sum_blocks(half, hn::Add(hn::LowerHalf(half, v), hn::UpperHalf(half, v)));
  }
}

/// out[r] = the sum of the lanes of sums[r], in half the instructions that four times one takes.
HWY_INLINE void store_lane_sums(const SumVector (&sums)[kGroup], std::int32_t* HWY_RESTRICT out) {
  const Sums lanes;
  const WideSums pairs;
  const auto add_pairs = [](SumVector a, SumVector b) HWY_ATTR {
    return hn::BitCast(
        WideSums(), hn::Add(hn::InterleaveLower(Sums(), a, b), hn::InterleaveUpper(Sums(), a, b)));
  };
  const auto first = add_pairs(sums[0], sums[1]);
  const auto second = add_pairs(sums[2], sums[3]);
  const SumVector blocks = hn::Add(hn::BitCast(lanes, hn::InterleaveLower(pairs, first, second)),
                                   hn::BitCast(lanes, hn::InterleaveUpper(pairs, first, second)));
  hn::StoreU(sum_blocks(lanes, blocks), hn::CappedTag<std::int32_t, kGroup>(), out);
}
#endif

/// The dots of kRows rows.
template <Element kElement, std::size_t kRows>
HWY_INLINE void group_dots(const CodeShape& shape, const std::int8_t* HWY_RESTRICT plane,
                           const std::byte* const* rows, std::int32_t* HWY_RESTRICT out) {
  SumVector sums[kRows];
  SumVector others[kRows];
  for (std::size_t r = 0; r < kRows; ++r) sums[r] = others[r] = hn::Zero(Sums());
  for (std::size_t i = 0; i < shape.line_bytes; i += kByteLanes) {
    const PlaneVector lower = hn::Load(SignedBytes(), plane + i);
    if constexpr (kElement == Element::kSq8) {
      for (std::size_t r = 0; r < kRows; ++r)
        add_products(load_codes(rows[r] + i), lower, sums[r], others[r]);
    } else {
      const PlaneVector upper = hn::Load(SignedBytes(), plane + shape.line_bytes + i);
      for (std::size_t r = 0; r < kRows; ++r) {
        const ByteVector pairs = load_codes(rows[r] + i);
        add_products(hn::And(pairs, hn::Set(Bytes(), 0x0F)), lower, sums[r], others[r]);
        add_products(upper_codes(pairs), upper, sums[r], others[r]);
      }
    }
  }
  for (std::size_t r = 0; r < kRows; ++r) sums[r] = hn::Add(sums[r], others[r]);
#if HWY_TARGET != HWY_SCALAR
  if constexpr (kRows == kGroup) return store_lane_sums(sums, out);
#endif
  for (std::size_t r = 0; r < kRows; ++r) out[r] = hn::GetLane(hn::SumOfLanes(Sums(), sums[r]));
}

/// The bits that rows of signs have in common with each plane, each plane's counting twice as much
/// as the one's before it: of a byte no more than 8 * 15.
template <std::size_t kRows>
HWY_INLINE void group_bit_dots(const CodeShape& shape, const std::int8_t* HWY_RESTRICT planes,
                               const std::byte* const* rows, std::int32_t* HWY_RESTRICT out) {
  hn::Vec<Totals> totals[kRows];
  for (std::size_t r = 0; r < kRows; ++r) totals[r] = hn::Zero(Totals());
  for (std::size_t i = 0; i < shape.half; i += kByteLanes) {
    ByteVector bits[kBitPlanes];
    for (std::size_t b = 0; b < kBitPlanes; ++b) {
      bits[b] = load_codes(reinterpret_cast<const std::byte*>(planes + b * shape.line_bytes + i));
    }
    for (std::size_t r = 0; r < kRows; ++r) {
      const ByteVector codes = load_codes(rows[r] + i);
      ByteVector counts = hn::Zero(Bytes());
      for (std::size_t b = kBitPlanes; b-- > 0;) {
        counts = hn::Add(hn::Add(counts, counts), hn::PopulationCount(hn::And(codes, bits[b])));
      }
      totals[r] = hn::Add(totals[r], hn::SumsOf8(counts));
    }
  }
  for (std::size_t r = 0; r < kRows; ++r) {
    out[r] = static_cast<std::int32_t>(hn::GetLane(hn::SumOfLanes(Totals(), totals[r])));
  }
}

HWY_INLINE void prefetch_rows(std::span<const std::byte* const> rows, std::size_t bytes) {
  const std::size_t count = rows.size() < kGroup ? rows.size() : kGroup;
  for (std::size_t r = 0; r < count; ++r) {
    for (std::size_t i = 0; i < bytes; i += kRowAlignment) prefetch(rows[r] + i);
  }
}

template <Element kElement, std::size_t kRows>
HWY_INLINE void any_dots(const CodeShape& shape, const std::int8_t* HWY_RESTRICT plane,
                         const std::byte* const* rows, std::int32_t* HWY_RESTRICT out) {
  if constexpr (kElement == Element::kBin) {
    group_bit_dots<kRows>(shape, plane, rows, out);
  } else {
    group_dots<kElement, kRows>(shape, plane, rows, out);
  }
}

template <Element kElement>
void dots(const CodeShape& shape, const std::int8_t* plane, std::span<const std::byte* const> rows,
          std::int32_t* out) {
  for (; rows.size() >= kGroup; rows = rows.subspan(kGroup), out += kGroup) {
    prefetch_rows(rows.subspan(kGroup), shape.row_bytes);
    any_dots<kElement, kGroup>(shape, plane, rows.data(), out);
  }
  switch (rows.size()) {
    case 3:
      return any_dots<kElement, 3>(shape, plane, rows.data(), out);
    case 2:
      return any_dots<kElement, 2>(shape, plane, rows.data(), out);
    case 1:
      return any_dots<kElement, 1>(shape, plane, rows.data(), out);
    default:
      return;
  }
}

using Floats = hn::CappedTag<float, kRowAlignment / sizeof(float)>;
using FloatVector = hn::Vec<Floats>;

/// As many codes as there are float lanes, of the lower or upper halves of bytes, or whole ones.
template <class Extract>
HWY_INLINE FloatVector load_floats(const std::byte* row, Extract extract) {
  const Floats f32;
  const hn::Rebind<std::uint8_t, Floats> bytes;
  const hn::Rebind<std::int32_t, Floats> i32;
  const auto codes = hn::LoadU(bytes, reinterpret_cast<const std::uint8_t*>(row));
  return hn::ConvertTo(f32, extract(hn::PromoteTo(i32, codes)));
}

template <Metric kMetric>
HWY_INLINE FloatVector add_term(FloatVector q, FloatVector x, FloatVector sum) {
  if constexpr (kMetric == Metric::kL2) {
    const FloatVector difference = hn::Sub(q, x);
    return hn::MulAdd(difference, difference, sum);
  } else {
    return hn::NegMulAdd(q, x, sum);
  }
}

/// Adds the terms of `count` components to `sum`. Those of the last vector that are too many are
/// made zeros.
template <Metric kMetric, class Extract>
HWY_INLINE FloatVector add_terms(const float* query, const std::byte* codes, std::size_t count,
                                 CodeHeader header, Extract extract, FloatVector sum) {
  const Floats f32;
  const FloatVector offset = hn::Set(f32, header.offset);
  const FloatVector scale = hn::Set(f32, header.scale);
  for (std::size_t i = 0; i < count; i += hn::MaxLanes(f32)) {
    FloatVector q = hn::LoadU(f32, query + i);
    FloatVector x = hn::MulAdd(load_floats(codes + i, extract), scale, offset);
    if (count - i < hn::MaxLanes(f32)) {
      const auto wanted = hn::FirstN(f32, count - i);
      q = hn::IfThenElseZero(wanted, q);
      x = hn::IfThenElseZero(wanted, x);
    }
    sum = add_term<kMetric>(q, x, sum);
  }
  return sum;
}

/// As many signs as there are float lanes, from component `first` on, as `positive` or `negative`.
/// Reads up to 8 bytes, of which a header is at least 12.
HWY_INLINE FloatVector load_signs(const std::byte* row, std::size_t first, FloatVector positive,
                                  FloatVector negative) {
  std::uint64_t bits;
  std::memcpy(&bits, row + first / 8, sizeof bits);
  bits >>= first % 8;
  const auto is_positive = hn::LoadMaskBits(Floats(), reinterpret_cast<const std::uint8_t*>(&bits));
  return hn::IfThenElse(is_positive, positive, negative);
}

/// add_terms() of a row of signs.
template <Metric kMetric>
HWY_INLINE FloatVector add_sign_terms(const float* query, const std::byte* row, std::size_t count,
                                      CodeHeader header, FloatVector sum) {
  const Floats f32;
  const FloatVector negative = hn::Set(f32, header.offset);
  const FloatVector positive = hn::Set(f32, header.offset + header.scale);
  for (std::size_t i = 0; i < count; i += hn::MaxLanes(f32)) {
    FloatVector q = hn::LoadU(f32, query + i);
    FloatVector x = load_signs(row, i, positive, negative);
    if (count - i < hn::MaxLanes(f32)) {
      const auto wanted = hn::FirstN(f32, count - i);
      q = hn::IfThenElseZero(wanted, q);
      x = hn::IfThenElseZero(wanted, x);
    }
    sum = add_term<kMetric>(q, x, sum);
  }
  return sum;
}

template <Metric kMetric>
float decoded_score(const CodeShape& shape, const float* query, const std::byte* row,
                    CodeHeader header) {
  const Floats f32;
  FloatVector sum = hn::Zero(f32);
  if (shape.element == Element::kBin) {
    sum = add_sign_terms<kMetric>(query, row, shape.dim, header, sum);
  } else if (shape.element == Element::kSq8) {
    const auto whole = [](auto codes) HWY_ATTR { return codes; };
    sum = add_terms<kMetric>(query, row, shape.dim, header, whole, sum);
  } else {
    const auto lower = [](auto codes) HWY_ATTR {
      return hn::And(codes, hn::Set(hn::DFromV<decltype(codes)>(), 0x0F));
    };
    const auto upper = [](auto codes) HWY_ATTR { return hn::ShiftRight<4>(codes); };
    sum = add_terms<kMetric>(query, row, shape.half, header, lower, sum);
    sum = add_terms<kMetric>(query + shape.half, row, shape.dim - shape.half, header, upper, sum);
  }
  return hn::GetLane(hn::SumOfLanes(f32, sum));
}

CodeLoops make_code_loops(std::string_view name) {
  return {name,
          dots<Element::kSq8>,
          dots<Element::kSq4>,
          dots<Element::kBin>,
          decoded_score<Metric::kL2>,
          decoded_score<Metric::kDot>};
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace engram::kernels
HWY_AFTER_NAMESPACE();

#endif  // the guard
