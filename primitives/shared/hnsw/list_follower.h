// SPDX-License-Identifier: Apache-2.0
// Something that is kept beside the lists of level 0, place for place.
#pragma once

#include <cstddef>
#include <span>

#include "core/result.h"
#include "core/sections.h"
#include "core/slot.h"
#include "core/slot_set.h"
#include "primitives/shared/hnsw/graph.h"

namespace engram::hnsw {

/// Learns of every change of the lists of level 0. Its changes come one at a time: an index that
/// has one is not concurrent.
class ListFollower {
 public:
  virtual ~ListFollower() = default;

  /// A graph is about to be made of these items. Called once, or again after an error of the last
  /// call; not after load(). Errors: the follower's.
  virtual Status begin(std::span<const Slot> first) = 0;

  /// `slot` is about to become a node, with no neighbours. Errors: kResourceExhausted.
  virtual Status add_node(Slot slot) = 0;

  /// Place i of the node's list, which was empty, has this neighbour now.
  virtual void appended(Slot node, std::size_t i, Slot neighbor) = 0;

  /// The node's list is `links` now. before: [capacity], what its places had, or kNoSlot.
  virtual void assigned(Slot node, const LinkList& links, std::span<const Slot> before) = 0;

  /// Beside a structure that has a graph, of `nodes`. Errors: the writer's.
  virtual Status save(SectionWriter& writer, const SlotSet& nodes) const = 0;

  /// Before anything else is called, and before links are dropped that lead nowhere. slot_end: of
  /// the saved nodes. Errors: kDataLoss; kResourceExhausted; the reader's.
  virtual Status load(SectionReader& reader, std::size_t slot_end) = 0;
};

}  // namespace engram::hnsw
