// SPDX-License-Identifier: Apache-2.0
// The vocabulary that stores, indexes and kernels share.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace engram {

/// A vector's place in its VectorStore: dense, small, reused after deletion. Keys live above, in
/// the engine; nothing in core/ or primitives/ knows them.
using Slot = std::uint32_t;

inline constexpr Slot kNoSlot = std::numeric_limits<Slot>::max();

/// The most slots that one store may hold.
inline constexpr std::size_t kMaxSlots = std::size_t{1} << 28;

/// One answer of a search. `score` is the kernel's cheapest monotone number (see metric.h), not yet
/// a distance. The order, by score and then by slot, is the order of every reply: ties go to the
/// lower slot, so results are reproducible.
struct Hit {
  float score;
  Slot slot;

  friend constexpr bool operator==(const Hit&, const Hit&) = default;
  friend constexpr bool operator<(const Hit& a, const Hit& b) noexcept {
    return a.score < b.score || (a.score == b.score && a.slot < b.slot);
  }
};

}  // namespace engram
