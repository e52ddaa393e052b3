// SPDX-License-Identifier: Apache-2.0
// Alg. 1 of [Malkov2018]. All neighbours of a node are chosen before the first of them is told of
// it: whoever finds the node finds its lists written, and is never stranded on a level where it has
// no neighbours yet.
#include <algorithm>
#include <cmath>

#include "core/assert.h"
#include "core/exact_scan.h"
#include "core/hash.h"
#include "primitives/shared/hnsw/hnsw.h"

namespace engram::hnsw {
namespace {

/// The memory of `buffer`, which grows if it must and never shrinks.
std::span<Slot> room_for(std::size_t count, std::vector<Slot>& buffer) {
  if (buffer.size() < count) buffer.resize(count);
  return {buffer.data(), count};
}

}  // namespace

/// The paper's floor(-ln(unif(0..1)) * 1/ln(M)), from the item instead of a generator.
unsigned Hnsw::draw_level(std::uint64_t identity) const noexcept {
  const double unit = unit_interval(mix(identity ^ config_.seed));
  const double level = -std::log(unit) / std::log(static_cast<double>(config_.m));
  return static_cast<unsigned>(std::min(level, double{kMaxLevel}));
}

/// Makes a held node of a slot, whose code is written.
Status Hnsw::add_node(Slot slot, unsigned level) {
  ENGRAM_ASSERT(!nodes_.contains(slot));
  if (follower_ != nullptr) ENGRAM_TRY(follower_->add_node(slot));
  ENGRAM_TRY(graph_.add_node(slot, level));
  ENGRAM_TRY(held_.ensure(std::size_t{slot} + 1));
  const auto added = nodes_.insert(slot);
  if (!added) return tl::unexpected(added.error());
  if (has_graph()) held_.add(slot);  // else it is held, or has been erased
  return {};
}

Status Hnsw::insert(const Insertion& item, Scratch& scratch) {
  const Slot slot = item.slot;
  const unsigned level = draw_level(item.identity);
  if (!has_graph()) {
    const std::lock_guard lock(small_mutex_);
    if (!has_graph()) return hold(slot, level, scratch);
  }
  return link_node(slot, level, scratch.get<HnswBuffers>());
}

/// Inserts while there is no graph. Caller holds small_mutex_.
Status Hnsw::hold(Slot slot, unsigned level, Scratch& scratch) {
  if (slot >= levels_.size()) levels_.resize(std::size_t{slot} + 1, kNoNode);
  levels_[slot] = static_cast<std::uint8_t>(level);
  const auto added = held_.insert(slot);
  if (!added) return tl::unexpected(added.error());
  if (held_.size() < config_.graph_from) return {};
  Status built = build_graph(slot, scratch);
  if (!built) held_.erase(slot);
  return built;
}

/// Makes nodes of all that are held, of `newest` last: if there is no memory for all, its slot is
/// no node, and can be given to another item. An item that is erased meanwhile is a node that is
/// not held, as one that is erased later. After an error the next insert goes on. Caller holds
/// small_mutex_.
Status Hnsw::build_graph(Slot newest, Scratch& scratch) {
  std::vector<Slot> slots;
  held_.list(slots);
  ENGRAM_TRY(begin_coding(slots));
  if (follower_ != nullptr && nodes_.size() == 0) ENGRAM_TRY(follower_->begin(slots));
  std::erase(slots, newest);
  slots.push_back(newest);
  for (const Slot slot : slots) {
    if (nodes_.contains(slot)) continue;
    ENGRAM_TRY(link_node(slot, levels_[slot], scratch.get<HnswBuffers>()));
  }
  levels_ = std::vector<std::uint8_t>();  // `= {}` would keep the memory
  has_graph_.store(true, std::memory_order_release);
  return {};
}

/// Makes a node of a slot and connects it with others. They are chosen first, for an outpost's
/// level depends on them; until it is a node nobody sees it.
Status Hnsw::link_node(Slot slot, unsigned level, HnswBuffers& working) {
  ENGRAM_TRY(encode(slot));
  const Entry seen = graph_.entry();
  if (level <= seen.level && plan_neighbors(slot, level, seen, working)) {
    ENGRAM_TRY(add_node(slot, working.plan.level));
    connect(slot, working);
    if (working.plan.outpost_reach > 0) found_outpost(slot, working);
    revisit_outpost(working);
    return {};
  }
  // It becomes the entry point: it is higher than all, or no held node can be reached. Two such
  // nodes must not miss each other. Held nodes that no walk reaches must be found from the new
  // entry point, so then its neighbours are looked for among all.
  const std::lock_guard lock(entry_mutex_);
  const Entry entry = graph_.entry();
  const bool reached = plan_neighbors(slot, level, entry, working);
  const bool is_planned = reached || plan_by_scan(slot, working);
  const unsigned own = reached ? working.plan.level : level;
  ENGRAM_TRY(add_node(slot, own));
  if (is_planned) connect(slot, working);
  if (!reached || own > entry.level) graph_.set_entry({slot, own});
  if (reached && working.plan.outpost_reach > 0) found_outpost(slot, working);
  return {};
}

/// Alg. 2 on behalf of `errand.slot`: leaves in `found` the nearest held nodes but `errand.except`,
/// ascending. Compiled once for all who build, so that what it calls is inlined.
void Hnsw::search_level(unsigned level, const Bound& query, std::span<const Hit> starts,
                        std::size_t ef, Errand errand, Beam& beam, std::vector<Hit>& found) const {
  const auto is_answer = [&](Slot other) {
    return other != errand.except && held_.contains(other);
  };
  search_layer(graph_, level, query, starts, ef, context_.store.slot_end(), ByPairHash{errand.slot},
               is_answer, beam, found);
}

/// Leaves in working.plan the neighbours of `slot`; false if there are none at level 0.
bool Hnsw::plan_neighbors(Slot slot, unsigned level, Entry entry, HnswBuffers& working) const {
  if (entry.slot == kNoSlot) return false;
  Plan& plan = working.plan;
  Beam& beam = working.beam;
  auto& starts = working.starts;
  auto& found = working.candidates;
  const Bound query = bound_to(slot, working);

  starts.assign(1, descend(graph_, entry, level, query, ByPairHash{slot}, beam));
  plan.outpost_reach = 0;
  plan.level = level;
  plan.top = std::min(level, entry.level);
  for (unsigned l = plan.top + 1; l-- > 0;) {
    search_level(l, query, starts, config_.ef_construction, {slot, slot}, beam, found);
    if (l == 0) plan.outpost_reach = reach_of_outpost(found, working);
    if (plan.outpost_reach > 0) look_farther(slot, entry, working);
    select_neighbors(link_rows(), found, first_degree(l), working.selection);
    plan.neighbors[l] = working.selection.chosen;
    if (!found.empty()) std::swap(starts, found);
  }
  if (plan.outpost_reach > 0 && level == 0 && entry.level > 0) raise_outpost(working);
  return !plan.neighbors[0].empty();
}

/// The same by looking at every held node, on level 0 alone. While a graph is built there are
/// others that are held, and no nodes yet.
bool Hnsw::plan_by_scan(Slot slot, HnswBuffers& working) const {
  auto& candidates = working.candidates;
  const SlotSet& nodes = has_graph() ? held_ : nodes_;
  scan_nearest(bound_to(slot, working), nodes, config_.ef_construction + 1, candidates);
  std::erase_if(candidates,
                [&](const Hit& hit) { return hit.slot == slot || !held_.contains(hit.slot); });
  std::sort(candidates.begin(), candidates.end(), ByPairHash{slot});
  select_neighbors(link_rows(), candidates, config_.m, working.selection);
  working.plan.neighbors[0] = working.selection.chosen;
  working.plan.top = 0;
  return !candidates.empty();
}

/// Carries out the plan: first the node's own lists, then, upwards, those of its neighbours. On
/// level 0 one link to the node is kept for good, that of its nearest neighbour if this has room
/// for one: whoever comes near the node finds it, whatever its other neighbours drop later.
void Hnsw::connect(Slot slot, HnswBuffers& working) {
  const Plan& plan = working.plan;
  for (unsigned level = 0; level <= plan.top; ++level) {
    for (const Hit& neighbor : plan.neighbors[level]) {
      add_link(slot, level, neighbor, Lasting::kNo, working);
    }
  }
  bool is_kept = false;
  for (unsigned level = 0; level <= plan.top; ++level) {
    for (const Hit& neighbor : plan.neighbors[level]) {
      const Lasting lasting = level == 0 && !is_kept ? Lasting::kYes : Lasting::kNo;
      is_kept |= add_link(neighbor.slot, level, {neighbor.score, slot}, lasting, working);
    }
  }
}

/// Where a selection has dropped one candidate, and its link is kept, drops the last other one
/// instead. The diverse ones come first, so this one was passed over, and the rest is a selection
/// still; where all are diverse, add_to_selection() sees no end of them and does not rely on it.
void Hnsw::retain_kept(std::span<const Hit> candidates, std::span<const Slot> kept,
                       std::vector<Hit>& chosen) {
  if (chosen.size() == candidates.size()) return;
  Slot dropped = 0;  // what is not in both, once all are summed up
  for (const Hit& hit : candidates) dropped ^= hit.slot;
  for (const Hit& hit : chosen) dropped ^= hit.slot;
  const auto is_kept = [&](const Hit& hit) {
    return std::find(kept.begin(), kept.end(), hit.slot) != kept.end();
  };
  const auto candidate = std::find_if(candidates.begin(), candidates.end(),
                                      [&](const Hit& hit) { return hit.slot == dropped; });
  if (!is_kept(*candidate)) return;
  const auto other = std::find_if_not(chosen.rbegin(), chosen.rend(), is_kept);
  if (other == chosen.rend()) return;  // a damaged list
  chosen.erase(std::next(other).base());
  chosen.push_back(*candidate);
}

/// Adds a neighbour to a node's list; if the list is full, the best of it and the new one stay, and
/// all whose links are kept. Returns whether this one is kept: if it was asked for, and no more
/// than a quarter of the list is.
bool Hnsw::add_link(Slot node, unsigned level, const Hit& neighbor, Lasting lasting,
                    HnswBuffers& working) {
  auto& candidates = working.candidates;
  const std::lock_guard lock(graph_.lock(node));
  LinkList links = graph_.links(node, level);
  auto slots = room_for(links.capacity() + 1, working.slots);
  auto kept = room_for(links.capacity() + 1, working.kept);
  std::size_t found = 0;
  std::size_t found_kept = 0;
  links.for_each_link([&, slots, kept](Slot slot, bool is_kept) {
    slots[found++] = slot;
    kept[found_kept] = slot;
    found_kept += static_cast<std::size_t>(is_kept);
  });
  const bool keep = lasting == Lasting::kYes && found_kept < links.capacity() / 4;
  const auto end = slots.begin() + static_cast<std::ptrdiff_t>(found);
  const auto place = std::find(slots.begin(), end, neighbor.slot);
  if (place != end) {
    if (keep) links.keep(static_cast<std::size_t>(place - slots.begin()));
    return keep;
  }
  const std::size_t taken = found < links.capacity() ? links.size() : found;
  if (taken < links.capacity()) {
    links.append(taken, neighbor.slot, keep);
    if (level == 0 && follower_ != nullptr) follower_->appended(node, taken, neighbor.slot);
    return keep;
  }
  if (keep) kept[found_kept++] = neighbor.slot;
  kept = kept.first(found_kept);
  const bool is_selected = graph_.is_selected(node, level);
  slots[found] = neighbor.slot;
  score_hits(bound_to(node, working), slots.first(found + 1), working.scores, candidates);
  const ByPairHash order{node};
  if (!is_selected || !add_to_selection(link_rows(), candidates, order, working.selection)) {
    std::sort(candidates.begin(), candidates.end(), order);
    select_neighbors(link_rows(), candidates, links.capacity(), working.selection);
  }
  if (!kept.empty()) retain_kept(candidates, kept, working.selection.chosen);
  if (level == 0) remember(links, working);
  links.assign(working.selection.chosen, kept);
  if (level == 0) follow(node, links, working);
  graph_.mark_selected(node, level, candidates.size() > links.capacity());
  return keep;
}

}  // namespace engram::hnsw
