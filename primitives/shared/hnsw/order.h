// SPDX-License-Identifier: Apache-2.0
// Orders of hits, and hits as numbers that compare in that order: by score first, ties by what the
// order says. A number is compared without a branch, of which a walk makes thousands that no
// processor can foresee.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "core/hash.h"
#include "core/slot.h"

namespace engram::hnsw {

/// A hit of some order as a number: the smaller, the nearer.
using Rank = std::uint64_t;

/// More than any hit's.
inline constexpr Rank kNoRank = std::numeric_limits<Rank>::max();

/// A score that orders may compare. Rows that were loaded and are not verified yet may hold NaN:
/// such a row is farther than all others.
inline float comparable(float score) noexcept {
  return std::isnan(score) ? std::numeric_limits<float>::infinity() : score;
}

/// The bits of a score, not NaN, in such a form that they compare as it does; -0 becomes 0.
constexpr std::uint32_t ordered_bits(float score) noexcept {
  const auto bits = std::bit_cast<std::uint32_t>(score + 0.0F);
  const std::uint32_t negative = 0U - (bits >> 31);
  return bits ^ (negative | 0x80000000U);
}

/// The inverse.
constexpr float score_of(std::uint32_t ordered) noexcept {
  const std::uint32_t negative = (ordered >> 31) - 1;
  return std::bit_cast<float>(ordered ^ (negative | 0x80000000U));
}

/// The order of answers: ties go to the lower slot.
struct BySlot {
  static constexpr Rank rank(const Hit& hit) noexcept {
    return Rank{ordered_bits(hit.score)} << 32 | hit.slot;
  }
  static constexpr Hit hit(Rank rank) noexcept {
    return {score_of(static_cast<std::uint32_t>(rank >> 32)), static_cast<Slot>(rank)};
  }
  constexpr bool operator()(const Hit& a, const Hit& b) const noexcept { return rank(a) < rank(b); }
};

/// The order of answers, but one slot comes after all that there are, and so is neither expanded
/// nor answered.
struct ButOne {
  Slot own;

  Rank rank(const Hit& hit) const noexcept { return hit.slot == own ? kNoRank : BySlot::rank(hit); }
  static Hit hit(Rank rank) noexcept { return BySlot::hit(rank); }
  bool operator()(const Hit& a, const Hit& b) const noexcept { return rank(a) < rank(b); }
};

/// The order of candidates while building around `base`: ties are broken by a hash of the pair.
/// Were they broken by slot, thousands of equal vectors would all choose the same few neighbours,
/// whose lists cannot name them all, and most of them could never be found again.
class ByPairHash {
 public:
  explicit ByPairHash(Slot base) noexcept : salt_(static_cast<std::uint32_t>(mix(base))) {}

  Rank rank(const Hit& hit) const noexcept {
    return Rank{ordered_bits(hit.score)} << 32 | (hit.slot ^ salt_) * kFactor;
  }
  Hit hit(Rank rank) const noexcept {
    return {score_of(static_cast<std::uint32_t>(rank >> 32)),
            static_cast<Slot>(rank) * kInverse ^ salt_};
  }
  bool operator()(const Hit& a, const Hit& b) const noexcept { return rank(a) < rank(b); }

 private:
  // Multiplying by an odd number modulo 2^32 can be undone: the slot is still in the hash.
  static constexpr std::uint32_t kFactor = 0x9E3779B1;
  static constexpr std::uint32_t kInverse = 0x0E8B2F51;

  std::uint32_t salt_;
};

}  // namespace engram::hnsw
