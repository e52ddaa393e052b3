// SPDX-License-Identifier: Apache-2.0
// Deletion, after the consolidation of FreshDiskANN [Singh2021] Alg. 4: erase() marks, reclaim()
// reconnects in one pass the nodes that had erased neighbours.
#include <algorithm>

#include "core/assert.h"
#include "primitives/shared/hnsw/hnsw.h"

namespace engram::hnsw {
namespace {

/// A list that keeps at least this many neighbours for each one lost has lost little.
constexpr std::size_t kLittle = 3;

/// Candidates to choose from beyond twice as many as were lost.
constexpr std::size_t kSpare = 16;

}  // namespace

void Hnsw::erase(Slot slot, Scratch& /*scratch*/) {
  const bool was_held = held_.erase(slot);
  ENGRAM_ASSERT(was_held);
}

Status Hnsw::reclaim(std::span<const Slot> erased, Scratch& scratch) {
  bool lost_any = false;
  for (const Slot slot : erased) {
    ENGRAM_ASSERT(!held_.contains(slot));
    lost_any |= nodes_.erase(slot);
  }
  if (!lost_any) return {};
  auto& working = scratch.get<HnswBuffers>();
  forget_erased(working);
  auto& orphans = working.repair.replacements;
  orphans.clear();
  for (const Slot slot : erased) {
    if (slot >= graph_.node_end()) continue;
    graph_.links(slot, 0).for_each_kept([&](Slot other) {
      if (held_.contains(other)) orphans.push_back(other);
    });
  }
  for (const Slot orphan : orphans) adopt(orphan, working);
  reconnect(working);
  return {};
}

/// Has the nearest of a node's neighbours that has room keep a link to it.
void Hnsw::adopt(Slot orphan, HnswBuffers& working) {
  auto& slots = working.repair.kept;
  auto& nearest = working.repair.keepers;
  slots.clear();
  graph_.links(orphan, 0).for_each([&](Slot slot) {
    if (held_.contains(slot)) slots.push_back(slot);
  });
  rank(bound_to(orphan, working), slots, ByPairHash{orphan}, working.scores, nearest);
  keep_one_link(orphan, nearest, working);
}

/// Looks for items that level 0 does not lead to from the entry point, and has the node that a
/// walk for the first of them ends at keep a link to it.
void Hnsw::reconnect(HnswBuffers& working) {
  VisitedSet& met = working.repair.met;
  auto& frontier = working.repair.detours;
  const std::size_t end = graph_.node_end();
  met.start(end);
  const auto meet = [&](Slot slot) {
    if (met.insert(slot)) frontier.push_back(slot);
  };
  const auto meet_all = [&] {
    while (!frontier.empty()) {
      const Slot node = frontier.back();
      frontier.pop_back();
      graph_.links(node, 0).for_each(meet);
    }
  };
  const Entry entry = graph_.entry();
  if (entry.slot >= end) return;
  frontier.clear();
  meet(entry.slot);
  meet_all();
  held_.for_each(0, static_cast<Slot>(end), [&](Slot slot) {
    meet(slot);
    if (frontier.empty()) return;
    const Bound query = bound_to(slot, working);
    const Hit start = score_one(query, entry.slot);
    search_level(0, query, {&start, 1}, config_.ef_search, {slot}, working.beam, working.farther);
    keep_one_link(slot, working.farther, working);
    meet_all();
  });
}

/// Makes sure that nothing refers to a slot that is no node any more. Nodes that inserts add
/// meanwhile need no look: they link to held slots only, none of which these are.
void Hnsw::forget_erased(HnswBuffers& working) {
  nodes_.for_each(0, Slot{kMaxSlots}, [&](Slot node) {
    for (unsigned level = 0; level <= graph_.level(node); ++level) repair(node, level, working);
  });
  replace_entry();
}

/// Where a node has lost neighbours, chooses others among the held neighbours of those lost. Where
/// a whole region was lost, looks on through it.
///
/// The source selects the whole list anew each time. Of a list that has lost little, what is kept
/// was selected once already: leaving it alone, and choosing as many as were lost from the nearest,
/// costs a tenth (README.md, "Deviations").
void Hnsw::repair(Slot node, unsigned level, HnswBuffers& working) {
  VisitedSet& visited = working.beam.visited;
  auto& kept = working.repair.kept;
  auto& replacements = working.repair.replacements;
  auto& detours = working.repair.detours;
  const std::lock_guard lock(graph_.lock(node));
  LinkList links = graph_.links(node, level);
  bool is_intact = true;
  links.for_each([&](Slot slot) { is_intact &= nodes_.contains(slot); });
  if (is_intact) return;

  visited.start(graph_.node_end());
  visited.insert(node);
  kept.clear();
  replacements.clear();
  detours.clear();
  links.for_each([&](Slot slot) {
    if (visited.insert(slot)) (held_.contains(slot) ? kept : detours).push_back(slot);
  });
  const std::size_t lost = detours.size();
  for (std::size_t i = 0; i < detours.size(); ++i) {
    if (i >= lost && replacements.size() >= lost) break;
    graph_.links(detours[i], level).for_each([&](Slot slot) {
      if (visited.insert(slot)) (held_.contains(slot) ? replacements : detours).push_back(slot);
    });
  }
  auto& lasting = working.kept;
  lasting.clear();
  if (level == 0) links.for_each_kept([&](Slot slot) { lasting.push_back(slot); });
  const bool has_lost_little = lost * kLittle <= kept.size();
  if (!has_lost_little) {
    const auto middle = std::partition(kept.begin(), kept.end(), [&](Slot slot) {
      return std::find(lasting.begin(), lasting.end(), slot) != lasting.end();
    });
    replacements.insert(replacements.end(), middle, kept.end());
    kept.erase(middle, kept.end());
  }
  const Bound bound = bound_to(node, working);
  rank(bound, kept, ByPairHash{node}, working.scores, working.selection.chosen);
  rank(bound, replacements, ByPairHash{node}, working.scores, working.candidates);
  std::size_t places = links.capacity();
  if (has_lost_little) {
    places = kept.size() + lost;
    working.candidates.resize(std::min(working.candidates.size(), 2 * lost + kSpare));
  }
  extend_selection(link_rows(), working.candidates, places, working.selection);
  if (level == 0) remember(links, working);
  links.assign(working.selection.chosen, lasting);
  if (level == 0) follow(node, links, working);
  graph_.mark_selected(node, level, false);  // what was kept, and then what was chosen
}

/// An entry point that was erased gives way to a highest held node. One without neighbours, which
/// an insert is about to connect, only if there is no other.
void Hnsw::replace_entry() {
  const std::lock_guard lock(entry_mutex_);
  const Slot current = graph_.entry().slot;
  if (current == kNoSlot || held_.contains(current)) return;
  Entry best;
  bool best_is_linked = false;
  held_.for_each(0, Slot{kMaxSlots}, [&](Slot slot) {
    const unsigned level = graph_.level(slot);
    const bool is_linked = graph_.links(slot, 0).size() > 0;
    const bool better = is_linked != best_is_linked ? is_linked : level > best.level;
    if (best.slot != kNoSlot && !better) return;
    best = {slot, level};
    best_is_linked = is_linked;
  });
  graph_.set_entry(best);
}

}  // namespace engram::hnsw
