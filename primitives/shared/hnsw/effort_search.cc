// SPDX-License-Identifier: Apache-2.0
// Searches of which the effort is chosen for a recall: narrower ones than k, and those of
// strangers, by which it is found out what to choose.
#include <algorithm>
#include <cmath>

#include "primitives/shared/hnsw/hnsw.h"

namespace engram::hnsw {
namespace {

/// How many candidates a stranger's walk keeps for one that keeps `ef`. Around an item others have
/// dropped links because it lay between, and a walk that passes it by has neither. Measured on
/// fashion-mnist-784 and glove-100, against vectors that never were items: 1.3 times as many make
/// up for it at 5, 1.1 times at 60. The nearest are found less well so; of 100 neighbours, few.
/// Where one candidate more is a third more, nothing is added: to promise too little is the better
/// error.
std::size_t kept_by_stranger(std::size_t ef, std::size_t k) {
  const auto kept = static_cast<double>(ef);
  const double nearest = std::min(1.0, 10.0 / static_cast<double>(k));
  const double more = ef < 4 ? 0 : 0.6 * std::sqrt(kept) * nearest;
  return static_cast<std::size_t>(std::lround(kept + more));
}

/// How many of what it met a narrow walk ranks again by vectors where it went by codes.
std::size_t reranked(std::size_t k) {
  return k + k / 2;
}

/// Whether a walk answers what it met beside what it kept: where it keeps so many that there is
/// nothing to be gained, it does not.
bool is_narrow(const SearchParams& params) {
  return params.is_narrow && params.ef > 0 && params.ef < reranked(params.k);
}

}  // namespace

/// Leaves in `hits` the k nearest of `found`.
void Hnsw::nearest_hits(std::span<Rank> found, std::size_t k, std::vector<Hit>& hits) {
  const std::span<Rank> nearest = found.first(std::min(k, found.size()));
  std::partial_sort(found.begin(), nearest.end(), found.end());
  hits.clear();
  for (const Rank rank : nearest) hits.push_back(BySlot::hit(rank));
}

/// Makes `found`, ranks of a walk, the hits that are answered. bias: by which these are effective
/// ones; null: they are the kernel's.
void Hnsw::answer(Query query, std::span<Rank> found, std::size_t k, const ScoreBias* bias,
                  HnswBuffers& working, std::vector<Hit>& hits) const {
  if (compares_codes()) {
    rank_nearest({context_.kernel, query, context_.store}, found, k, bias, working);
  }
  nearest_hits(found, k, hits);
}

/// The walk of a search that keeps `ef` candidates, fewer than k perhaps. Those that it displaced
/// and those that it passed by make up the k nearest that it met: at the end of a walk most of
/// these are known, and it would go on only to be sure. False if it met fewer.
template <class Order>
bool Hnsw::walk_narrowly(Query query, const SearchParams& params, std::size_t ef, Entry entry,
                         Order order, HnswBuffers& working, std::vector<Hit>& hits) const {
  const Bound walk_query = walk_bound(query, working);
  const Hit start = descend(graph_, entry, 0, walk_query, order, working.beam);
  if (order.rank(start) == kNoRank) return false;
  BiasedBeam& rest = working.biased;
  rest.clear();
  const auto is_held = [this](Slot slot) { return held_.contains(slot); };
  LayerWalk walk(graph_, 0, walk_query, ef, order, is_held, working.beam, KeepRest{rest});
  NoProbe probe;
  const std::span<Rank> kept = walk.run({&start, 1}, context_.store.slot_end(), probe);
  std::vector<Rank>& met = rest.passed;
  std::erase_if(
      met, [&](Rank rank) { return rank == kNoRank || !held_.contains(BySlot::hit(rank).slot); });
  met.insert(met.end(), rest.displaced.begin(), rest.displaced.end());
  met.insert(met.end(), kept.begin(), kept.end());
  if (met.size() < params.k) return false;
  const std::size_t ranked = std::min(met.size(), widened(reranked(params.k)));
  if (compares_codes() && ranked < met.size()) {
    const auto end = met.begin() + static_cast<std::ptrdiff_t>(ranked);
    std::nth_element(met.begin(), end - 1, met.end());
    met.resize(ranked);
  }
  answer(query, met, params.k, nullptr, working, hits);
  return true;
}

bool Hnsw::search_narrowly(Query query, const SearchParams& params, Entry entry,
                           HnswBuffers& working, std::vector<Hit>& hits) const {
  if (!is_narrow(params)) return false;
  return walk_narrowly(query, params, widened(params.ef), entry, BySlot{}, working, hits);
}

/// The walk of search(), or of search_narrowly().
Status Hnsw::search_as_stranger(Slot own, Query query, const SearchParams& params, Scratch& scratch,
                                std::vector<Hit>& hits) const {
  const std::size_t ef = is_narrow(params) ? widened(params.ef) : widened(params);
  const Entry entry = graph_.entry();
  const auto scan = [&] { return Index::search_as_stranger(own, query, params, scratch, hits); };
  if (params.k == 0 || !has_graph() || entry.slot == kNoSlot || scan_is_cheaper(ef)) return scan();

  auto& working = scratch.get<HnswBuffers>();
  const ButOne order{own};
  if (is_narrow(params)) {
    const std::size_t kept = kept_by_stranger(ef, params.k);
    if (walk_narrowly(query, params, kept, entry, order, working, hits)) return {};
    SearchParams wider = params;
    wider.is_narrow = false;
    return search_as_stranger(own, query, wider, scratch, hits);
  }
  const Bound walk_query = walk_bound(query, working);
  const Hit start = descend(graph_, entry, 0, walk_query, order, working.beam);
  if (start.slot == own) return scan();
  const auto is_held = [this](Slot slot) { return held_.contains(slot); };
  LayerWalk walk(graph_, 0, walk_query, kept_by_stranger(ef, params.k), order, is_held,
                 working.beam);
  NoProbe probe;
  const auto found = walk.run({&start, 1}, context_.store.slot_end(), probe);
  if (found.size() < params.k) return scan();
  answer(query, found, params.k, nullptr, working, hits);
  return {};
}

}  // namespace engram::hnsw
