// SPDX-License-Identifier: Apache-2.0
// Items that come region by region. The first of a region (a cluster, an outlier) chooses among the
// nearest there are, which all lie in the one or two regions next to it, and those that come later
// and lie nearer do not choose it: few links lead there, and a walk of a narrow beam, for which one
// region is enough to fill it, may miss all of it. In random order the early nodes are far apart,
// and the links between them do the service that is done here.
//
// Such a node is an *outpost*: its nearest neighbour is more than twice as far from it as from
// another candidate. It looks for neighbours in level 1 too, where the same number of candidates
// spreads over M times as many regions, and becomes a node of that level, whatever level it was
// drawn; links between it and its neighbours are kept for good; and if a search with the index's
// defaults does not find it, the node where that ends keeps a link to it. Whenever the index has
// grown by half it is visited again, by an insert that comes along: then it looks for neighbours
// outside its own region, and whether it is found. A load forgets which nodes are outposts, for no
// section says it: their links stay, and they are not visited again.
//
// Not under dot, where a score says nothing of how far a node is.
#include <algorithm>
#include <string>

#include "core/hash.h"
#include "primitives/shared/hnsw/hnsw.h"

namespace engram::hnsw {
namespace {

/// Candidates that are compared with the nearest.
constexpr std::size_t kCompared = 16;

/// How much farther the nearest is, as the square of a distance.
constexpr double kFarther = 4;

/// Of how many neighbours of what a walk found it is asked how near they are. All would cost
/// searches of words three hundredths of their time.
constexpr std::size_t kAsked = 6;

/// How many candidates a look for another region keeps on level 1.
constexpr std::size_t kElsewhere = 32;

/// An index of which one node in so many is an outpost comes by regions.
constexpr std::size_t kRegional = 1024;

/// What a thread keeps between searches for items.
struct SelfSearch {
  AlignedBuffer vector;
  std::vector<Hit> hits;
};

}  // namespace

/// Something that grows as the square of a distance does; negative if the score is an estimate that
/// errs so far. Not under dot.
double Hnsw::squared_scale(float score) const noexcept {
  if (context_.store.metric() == Metric::kCosine) {
    const double square = 1 + double{score};
    // Copies of a vector may be a rounding nearer than nothing.
    return compares_codes() ? square : std::max(square, 0.0);
  }
  return score < l2_score(0) ? double{score} : squared_distance(score);
}

/// If a node with these candidates is an outpost, the score within which its own region lies, as
/// squared_scale() has it; else 0. found: ascending.
double Hnsw::reach_of_outpost(std::span<const Hit> found, HnswBuffers& working) const {
  if (context_.store.metric() == Metric::kDot || found.size() < kCompared) return 0;
  auto& slots = working.slots;
  slots.clear();
  for (const Hit& hit : found.subspan(1, kCompared - 1)) slots.push_back(hit.slot);
  const auto scores =
      score_all(link_rows().to_slot(found.front().slot, working.selection.candidate_query), slots,
                working.scores);
  const double between = squared_scale(*std::min_element(scores.begin(), scores.end()));
  const double nearest = squared_scale(found.front().score);
  return between >= 0 && between * kFarther < nearest ? nearest / kFarther : 0;
}

/// Adds candidates of level 1 to those found, and leaves out those within reach.
void Hnsw::look_farther(Slot slot, Entry entry, HnswBuffers& working) const {
  auto& found = working.candidates;
  auto& farther = working.farther;
  const double reach = working.plan.outpost_reach;
  if (entry.level > 0) {
    const Bound query = bound_to(slot, working);
    const ByPairHash order{slot};
    const Hit start = descend(graph_, entry, 1, query, order, working.beam);
    search_level(1, query, {&start, 1}, config_.ef_construction, {slot, slot}, working.beam,
                 farther);
    const auto middle = static_cast<std::ptrdiff_t>(found.size());
    found.insert(found.end(), farther.begin(), farther.end());
    std::inplace_merge(found.begin(), found.begin() + middle, found.end(), order);
    found.erase(std::unique(found.begin(), found.end()), found.end());
  }
  std::erase_if(found, [&](const Hit& hit) { return squared_scale(hit.score) < reach; });
}

/// Plans level 1 for an outpost that was drawn level 0: those are its neighbours there that
/// look_farther() has found.
void Hnsw::raise_outpost(HnswBuffers& working) const {
  Plan& plan = working.plan;
  std::erase_if(working.farther,
                [&](const Hit& hit) { return squared_scale(hit.score) < plan.outpost_reach; });
  select_neighbors(link_rows(), working.farther, config_.m, working.selection);
  plan.neighbors[1] = working.selection.chosen;
  plan.top = 1;
  plan.level = 1;
}

/// After connect(). The plan is the outpost's.
void Hnsw::found_outpost(Slot slot, HnswBuffers& working) {
  const double reach = working.plan.outpost_reach;
  keep_links(slot, working);
  make_findable(slot, working);
  schedule(slot, reach);
  outposts_founded_.fetch_add(1, std::memory_order_relaxed);
}

/// Whether regions that came one after the other make up much of the index. What was loaded keeps
/// that mark: how many outposts it had no section says, and their regions stay.
bool Hnsw::comes_by_regions() const noexcept {
  const std::size_t fewest = size() / kRegional + 1;
  return was_by_regions_ || outposts_founded_.load(std::memory_order_relaxed) >= fewest;
}

/// Whether a walk that found `nearest` has ended in another region than its query's: neighbours of
/// this node are much nearer to it than the query is. One may be a copy of it.
bool Hnsw::seems_astray(Hit nearest, HnswBuffers& working) const {
  if (!comes_by_regions()) return false;
  auto& slots = working.slots;
  slots.clear();
  const LinkList links = graph_.links(nearest.slot, 0);
  const std::size_t taken = links.size();
  const std::size_t asked = std::min(taken, kAsked);
  for (std::size_t i = 0; i < asked; ++i) {
    const Slot slot = links[i * taken / asked];
    if (slot < graph_.node_end()) slots.push_back(slot);  // else the link is damaged
  }
  if (slots.size() < 2) return false;
  const Bound from = link_rows().to_slot(nearest.slot, working.selection.candidate_query);
  score_hits(from, slots, working.scores, working.farther);
  std::nth_element(working.farther.begin(), working.farther.begin() + 1, working.farther.end(),
                   BySlot{});
  const double between = squared_scale(working.farther[1].score);
  return between >= 0 && between * kFarther < squared_scale(nearest.score);
}

/// Leaves in working.starts what a wider walk over level 1 finds, where each region has a node: its
/// outpost. False if none is nearer than `nearest`.
bool Hnsw::look_elsewhere(Entry entry, const Bound& query, Hit nearest,
                          HnswBuffers& working) const {
  if (entry.level == 0) return false;
  const Hit start = descend(graph_, entry, 1, query, BySlot{}, working.beam);
  search_layer(
      graph_, 1, query, {&start, 1}, kElsewhere, context_.store.slot_end(), BySlot{},
      [](Slot /*slot*/) { return true; }, working.beam, working.starts);
  return !working.starts.empty() && working.starts.front().score < nearest.score;
}

/// Where a walk over level 0 with conditions starts. What it finds may be far because of these, so
/// the question is asked of its start.
Hit Hnsw::start_widely(Entry entry, const Bound& query, HnswBuffers& working) const {
  const Hit start = descend(graph_, entry, 0, query, BySlot{}, working.beam);
  const bool elsewhere =
      seems_astray(start, working) && look_elsewhere(entry, query, start, working);
  return elsewhere ? working.starts.front() : start;
}

/// As many as lists have room for.
void Hnsw::keep_links(Slot slot, HnswBuffers& working) {
  for (const Hit& neighbor : working.plan.neighbors[0]) {
    add_link(slot, 0, neighbor, Lasting::kYes, working);
    add_link(neighbor.slot, 0, {neighbor.score, slot}, Lasting::kYes, working);
  }
}

/// Searches for the node as a client would, by what walks compare.
void Hnsw::make_findable(Slot slot, HnswBuffers& working) {
  const Entry entry = graph_.entry();
  if (entry.slot == kNoSlot || entry.slot == slot) return;
  const Bound query = bound_to(slot, working);
  const Hit start = descend(graph_, entry, 0, query, ByPairHash{slot}, working.beam);
  auto& found = working.farther;
  search_level(0, query, {&start, 1}, config_.ef_search, {slot}, working.beam, found);
  const auto is_it = [slot](const Hit& hit) { return hit.slot == slot; };
  if (std::any_of(found.begin(), found.end(), is_it)) return;
  keep_one_link(slot, found, working);
}

/// Has the nearest of `others` that has room keep a link to `slot`. others: ascending; not what
/// add_link() works on.
void Hnsw::keep_one_link(Slot slot, std::span<const Hit> others, HnswBuffers& working) {
  for (const Hit& other : others) {
    if (add_link(other.slot, 0, {other.score, slot}, Lasting::kYes, working)) return;
  }
}

void Hnsw::schedule(Slot slot, double reach) {
  const std::size_t size = nodes_.size();
  const std::lock_guard lock(outposts_mutex_);
  outposts_.push_back({.due = size + size / 2, .slot = slot, .reach = reach});
  std::push_heap(outposts_.begin(), outposts_.end());
  outpost_bytes_.store(outposts_.capacity() * sizeof(Outpost), std::memory_order_relaxed);
  next_due_.store(outposts_.front().due, std::memory_order_relaxed);
}

/// Visits the outpost that is due, if one is. It may have been erased, and the slot another's now:
/// then that one gets links that are right, if more than it needs.
void Hnsw::revisit_outpost(HnswBuffers& working) {
  if (nodes_.size() < next_due_.load(std::memory_order_relaxed)) return;
  Outpost outpost;
  {
    const std::lock_guard lock(outposts_mutex_);
    if (outposts_.empty()) return;
    std::pop_heap(outposts_.begin(), outposts_.end());
    outpost = outposts_.back();
    outposts_.pop_back();
    next_due_.store(outposts_.empty() ? kMaxSlots : outposts_.front().due,
                    std::memory_order_relaxed);
  }
  const Entry entry = graph_.entry();
  if (entry.slot == kNoSlot || !held_.contains(outpost.slot)) return;
  Plan& plan = working.plan;
  plan.top = 0;
  plan.outpost_reach = outpost.reach;
  working.candidates.clear();
  look_farther(outpost.slot, entry, working);
  select_neighbors(link_rows(), working.candidates, config_.m, working.selection);
  plan.neighbors[0] = working.selection.chosen;
  keep_links(outpost.slot, working);
  make_findable(outpost.slot, working);
  schedule(outpost.slot, outpost.reach);
}

std::optional<bool> Hnsw::finds(Slot slot, Scratch& scratch) const {
  if (!held_.contains(slot)) return std::nullopt;
  auto& working = scratch.get<SelfSearch>();
  const Query query = context_.kernel.from_row(context_.store.row(slot), working.vector);
  const float own =
      comparable(RowView{context_.kernel, context_.store.rows()}.to(query).score(slot));
  const bool is_found = search(query, {.k = 1}, scratch, working.hits) && !working.hits.empty() &&
                        working.hits.front().score <= own;
  if (is_found || held_.contains(slot)) return is_found;
  return std::nullopt;  // erased meanwhile
}

/// Of a sample of items, the same ones each time, how many are not found: "count/sample". The
/// larger EF_SEARCH, the fewer they are: VINFO must not take long.
std::string Hnsw::unfound_items() const {
  constexpr std::uint64_t kMost = 100;
  constexpr std::uint64_t kCandidates = 6400;
  if (!has_graph() || scan_is_cheaper(widened(SearchParams{.k = 1}))) return "0/0";
  Scratch scratch;
  std::size_t items = 0;
  std::size_t unfound = 0;
  const std::uint64_t sample = std::clamp(kCandidates / config_.ef_search, std::uint64_t{1}, kMost);
  for (std::uint64_t i = 0; i < sample && graph_.node_end() > 0; ++i) {
    const auto is_found = finds(static_cast<Slot>(mix(i) % graph_.node_end()), scratch);
    items += is_found.has_value() ? 1 : 0;
    unfound += is_found.value_or(true) ? 0 : 1;
  }
  return std::to_string(unfound) + "/" + std::to_string(items);
}

}  // namespace engram::hnsw
