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

/// All items; the nearest, found by a graph; or auto: the graph beyond kAutoScan items.
enum class Candidates : std::uint8_t { kAuto, kScan, kGraph };
inline constexpr std::string_view kCandidatesNames[] = {"auto", "scan", "graph"};

/// A scan of this many items takes less than a millisecond (100 dimensions).
inline constexpr std::size_t kAutoScan = 20'000;

/// Whether to use a graph, if there is one.
constexpr bool walks(Candidates candidates, std::size_t items) noexcept {
  return candidates == Candidates::kGraph || (candidates == Candidates::kAuto && items > kAutoScan);
}

/// Whether to ask a graph for `count` of the items instead of scanning all. `first` is the user's
/// choice and honoured up to half the items; more candidates only while that is cheaper: a walk
/// takes 2.4 us per candidate, a scan 0.045 us per item (glove-100).
constexpr bool is_worth_a_walk(std::size_t count, std::size_t first, std::size_t items) noexcept {
  constexpr std::size_t kShare = 64;
  return count < items / (count <= first ? 2 : kShare);
}

/// The items of a recall. Unless the recall was given a set, they may come and go meanwhile.
struct Items {
  const SlotSet* among;
  std::size_t count;   ///< when the recall began
  const Index* graph;  ///< finds the nearest, perhaps others too; null: scan
};

/// The items in `among`, or all held ones if it is null.
Items items_of(const MemoryView& memory, const SlotSet* among, Candidates candidates);

/// Errors: kInvalidArgument if `candidates` asks for a graph that does not exist, or for a graph
/// with a masked cue: a graph knows only distances of whole vectors.
Status check_candidates(const MemoryView& memory, Candidates candidates, bool is_masked);

}  // namespace engram::recall
