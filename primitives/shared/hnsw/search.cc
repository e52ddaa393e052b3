// SPDX-License-Identifier: Apache-2.0
// Alg. 5 of [Malkov2018].
#include <algorithm>
#include <cmath>

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

/// How many candidates are ranked again before it is known how far codes are wrong: enough to tell,
/// and twice as many as are wanted.
std::size_t first_look(std::size_t k) {
  constexpr std::size_t kFirstLook = 32;
  return std::max(kFirstLook, 2 * k);
}

/// By how much vectors are farther than their codes say.
class CodeErrors {
 public:
  void add(float error) noexcept {
    if (!std::isfinite(error)) return;
    ++count_;
    sum_ += error;
    squares_ += double{error} * error;
  }

  /// So much farther few are not: three deviations below the mean. Negative, where some are nearer.
  double least() const noexcept {
    constexpr double kDeviations = 3;
    const double count = std::max(count_, 1.0);
    const double mean = sum_ / count;
    return mean - kDeviations * std::sqrt(std::max(squares_ / count - mean * mean, 0.0));
  }

 private:
  double count_ = 0;
  double sum_ = 0;
  double squares_ = 0;
};

/// Makes the first `count` the nearest.
void put_nearest_first(std::span<Rank> ranks, std::size_t count) {
  const auto middle = ranks.begin() + static_cast<std::ptrdiff_t>(count);
  if (middle != ranks.end()) std::nth_element(ranks.begin(), middle, ranks.end());
}

}  // namespace

/// A search's query for walks: as it is, or coded.
Bound Hnsw::walk_bound(Query query, HnswBuffers& working) const {
  if (!compares_codes()) return walk_rows().to(query);
  const auto* const vector = reinterpret_cast<const float*>(query.data);
  return walk_rows().to(estimator_->prepare({vector, context_.store.dim()}, working.query));
}

/// Gives what a walk by codes found its true scores: of the nearest, and then of all others that
/// may be nearer than the k-th of them, as far as codes have been wrong so far. The rest is farther
/// in all likelihood, and each costs a row, perhaps on a disk. Returns those that have true scores:
/// k of them, if there are so many. k: 1 or more.
std::span<Rank> Hnsw::rank_again(const Bound& bound, std::span<Rank> found, std::size_t k,
                                 HnswBuffers& working) const {
  CodeErrors errors;
  auto& slots = working.slots;
  std::size_t done = 0;
  std::size_t more = std::min(first_look(k), found.size());
  put_nearest_first(found, more);
  while (more > 0) {
    const std::span<Rank> next = found.subspan(done, more);
    slots.clear();
    for (const Rank rank : next) slots.push_back(BySlot::hit(rank).slot);
    bound.fetch(slots);
    const auto scores = score_all(bound, slots, working.scores);
    for (std::size_t i = 0; i < more; ++i) {
      errors.add(scores[i] - BySlot::hit(next[i]).score);
      next[i] = BySlot::rank({scores[i], slots[i]});
    }
    done += more;
    if (done == found.size()) break;
    put_nearest_first(found.first(done), k - 1);
    const double limit = double{BySlot::hit(found[k - 1]).score} - errors.least();
    const std::span<Rank> rest = found.subspan(done);
    const auto end = std::partition(rest.begin(), rest.end(), [limit](Rank rank) {
      return double{BySlot::hit(rank).score} <= limit;
    });
    more = static_cast<std::size_t>(end - rest.begin());
  }
  return found.first(done);
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
  answer(query, walk_from({&start, 1}, walk_query, ef, working), params.k, working, hits);
  if (!hits.empty() && seems_astray(hits.front(), working) &&
      look_elsewhere(entry, walk_query, hits.front(), working)) {
    working.starts.resize(std::min(working.starts.size(), ef));
    working.candidates.swap(hits);
    answer(query, walk_from(working.starts, walk_query, ef, working), params.k, working, hits);
    add_hits(working.candidates, params.k, hits);
  }
  if (hits.size() < params.k) {  // cut off by erased nodes, or by erases just now
    scan_nearest(bound, held_, params.k, hits);
  }
  return {};
}

}  // namespace engram::hnsw
