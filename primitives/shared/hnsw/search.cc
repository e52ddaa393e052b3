// SPDX-License-Identifier: Apache-2.0
// Alg. 5 of [Malkov2018].
#include <algorithm>

#include "core/exact_scan.h"
#include "primitives/shared/hnsw/hnsw.h"

namespace engram::hnsw {

namespace {

/// Adds to `hits` others of the same query; of all the k nearest stay. Both are ascending.
void add_hits(std::span<const Hit> others, std::size_t k, std::vector<Hit>& hits) {
  const auto middle = static_cast<std::ptrdiff_t>(hits.size());
  hits.insert(hits.end(), others.begin(), others.end());
  std::inplace_merge(hits.begin(), hits.begin() + middle, hits.end());
  hits.erase(std::unique(hits.begin(), hits.end()), hits.end());
  hits.resize(std::min(hits.size(), k));
}

}  // namespace

/// A search's query for walks: as it is, or coded.
Bound Hnsw::walk_bound(Query query, HnswBuffers& working) const {
  if (!compares_codes()) return walk_rows().to(query);
  const auto* const vector = reinterpret_cast<const float*>(query.data);
  return walk_rows().to(estimator_->prepare({vector, context_.store.dim()}, working.query));
}

/// Measured: for each candidate that it keeps a walk takes the time in which a scan passes over
/// this many rows. The larger rows are, the less of a walk's time is its own (README.md, "Scan or
/// walk").
std::size_t Hnsw::rows_for_a_candidate() const noexcept {
  return 16 + 32'768 / (context_.store.row_bytes() + 640);
}

/// Whether looking at every row costs less than a walk that keeps `ef` candidates.
bool Hnsw::scan_is_cheaper(std::size_t ef) const noexcept {
  return ef * rows_for_a_candidate() >= size();
}

void Hnsw::scan(Query query, std::size_t k, std::vector<Hit>& hits) const {
  scan_nearest(Bound(context_.kernel, query, context_.store), held_, k, hits);
}

/// The nearest held nodes of level 0, in no order.
std::span<Rank> Hnsw::walk_from(std::span<const Hit> starts, const Bound& query, std::size_t ef,
                                HnswBuffers& working) const {
  const auto is_held = [this](Slot slot) { return held_.contains(slot); };
  LayerWalk walk(graph_, 0, query, ef, BySlot{}, is_held, working.beam);
  NoProbe probe;
  return walk.run(starts, context_.store.slot_end(), probe);
}

/// An exact scan where it costs less than the walk, or the walk could not give a complete answer.
Status Hnsw::search(Query query, const SearchParams& params, Scratch& scratch,
                    std::vector<Hit>& hits) const {
  if (!params.is_plain()) return search_with_conditions(query, params, scratch, hits);
  const Bound bound(context_.kernel, query, context_.store);
  const std::size_t ef = widened(params);
  const Entry entry = graph_.entry();
  if (params.k == 0 || !has_graph() || entry.slot == kNoSlot || scan_is_cheaper(ef)) {
    scan_nearest(bound, held_, params.k, hits);
    return {};
  }

  auto& working = scratch.get<HnswBuffers>();
  if (params.is_narrow && search_narrowly(query, params, entry, working, hits)) return {};
  const Bound walk_query = walk_bound(query, working);
  const Hit start = descend(graph_, entry, 0, walk_query, BySlot{}, working.beam);
  answer(query, walk_from({&start, 1}, walk_query, ef, working), params.k, nullptr, working, hits);
  if (!hits.empty() && seems_astray(hits.front(), working) &&
      look_elsewhere(entry, walk_query, hits.front(), working)) {
    working.starts.resize(std::min(working.starts.size(), ef));
    working.candidates.swap(hits);
    answer(query, walk_from(working.starts, walk_query, ef, working), params.k, nullptr, working,
           hits);
    add_hits(working.candidates, params.k, hits);
  }
  if (hits.size() < params.k) {  // cut off by erased nodes, or by erases just now
    scan_nearest(bound, held_, params.k, hits);
  }
  return {};
}

}  // namespace engram::hnsw
