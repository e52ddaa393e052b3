// SPDX-License-Identifier: Apache-2.0
// Which items a recall looks at.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "core/index.h"
#include "core/slot.h"
#include "core/slot_set.h"

namespace engram::recall {

/// All of them; the nearest ones, which a graph finds; or that where there are many.
enum class Candidates : std::uint8_t { kAuto, kScan, kGraph };
inline constexpr std::string_view kCandidatesNames[] = {"auto", "scan", "graph"};

/// Up to so many items a scan takes less than a millisecond (100 dimensions).
inline constexpr std::size_t kAutoScan = 20'000;

/// Whether a graph is to be asked, if there is one.
constexpr bool walks(Candidates candidates, std::size_t items) noexcept {
  return candidates == Candidates::kGraph || (candidates == Candidates::kAuto && items > kAutoScan);
}

/// Whether a graph is to be asked for `count` of the items, rather than all looked at. first: what
/// it was asked for at first, which the user has chosen; more only as long as that is cheaper: a
/// walk takes some 2.4 us for each candidate, a scan some 0.045 us for each item (glove-100).
constexpr bool is_worth_a_walk(std::size_t count, std::size_t first, std::size_t items) noexcept {
  constexpr std::size_t kShare = 64;
  return count < items / (count <= first ? 2 : kShare);
}

/// The items of a recall. They may come and go meanwhile, if it was not told which they are.
struct Items {
  const SlotSet* among;
  std::size_t count;   ///< how many there were in the beginning
  const Index* graph;  ///< finds the nearest of them and perhaps others; null: scan
};

/// Those in `among`, or all that are held if that is null.
Items items_of(const MemoryView& memory, const SlotSet* among, Candidates candidates);

/// Errors: kInvalidArgument where `candidates` asks for a graph that is not there, or one for a cue
/// that is partly hidden, of which it would know nothing.
Status check_candidates(const MemoryView& memory, Candidates candidates, bool is_masked);

}  // namespace engram::recall
