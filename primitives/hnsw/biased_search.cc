// SPDX-License-Identifier: Apache-2.0
// Search among items of different strength.
#include <algorithm>

#include "primitives/hnsw/biased_walk.h"
#include "primitives/hnsw/hnsw.h"

namespace engram::hnsw {

/// As rank_again() of a plain search, and biased again.
void Hnsw::rank_again(const Bound& bound, const ScoreBias& bias, std::span<Hit> found,
                      HnswBuffers& working) const {
  auto& slots = working.slots;
  slots.clear();
  for (const Hit& hit : found) slots.push_back(hit.slot);
  static_cast<void>(score_all(bound, slots, working.scores));
  const std::span<float> scores(working.scores.data(), slots.size());
  bias.apply(slots, scores);
  for (std::size_t i = 0; i < found.size(); ++i) found[i].score = scores[i];
}

/// The plain walk first. Then its answers, and what it left aside, are biased, and if something
/// that it did not meet may be better than the k-th best of these, the walk goes on until nothing
/// may: what lies beyond can be no answer, however strong it is. Among items of equal strength
/// that is never the case. False where a scan is to answer instead: going on would cost more, or
/// the walk met too few.
bool Hnsw::walk_biased(Query query, const SearchParams& params, std::size_t ef, Entry entry,
                       HnswBuffers& working, std::vector<Hit>& hits) const {
  const Bound walk_query = walk_bound(query, working);
  const Hit start = descend(graph_, entry, 0, walk_query, BySlot{}, working.beam);
  BiasedBeam& biased = working.biased;
  biased.clear();
  const auto is_held = [this](Slot slot) { return held_.contains(slot); };
  LayerWalk walk(graph_, 0, walk_query, ef, BySlot{}, is_held, working.beam, KeepRest{biased});
  NoProbe probe;
  BestByBias best(*params.bias, held_, params.k, biased);
  best.offer(walk.run({&start, 1}, context_.store.slot_end(), probe));
  if (best.bound() > walk.farthest()) {
    best.offer(biased.displaced);
    best.offer(biased.passed);
    for (const Rank rank : biased.passed) {
      if (rank < best.bound()) working.beam.frontier.push(rank);
    }
    const std::size_t most = size() / rows_for_a_candidate();
    if (!walk.widen(best.bound(), most,
                    [&](std::span<const Rank> ranks) { return best.offer(ranks); })) {
      return false;
    }
  }
  auto& met = biased.met;
  if (met.size() < params.k) return false;
  if (compares_codes()) {
    const std::size_t most = std::min(ef, met.size());
    const auto end = met.begin() + static_cast<std::ptrdiff_t>(most);
    std::nth_element(met.begin(), end - 1, met.end());
    met.resize(most);
    rank_again(Bound(context_.kernel, query, context_.store), *params.bias, met, working);
  }
  const auto end = met.begin() + static_cast<std::ptrdiff_t>(params.k);
  std::partial_sort(met.begin(), end, met.end());
  hits.assign(met.begin(), end);
  return true;
}

}  // namespace engram::hnsw
