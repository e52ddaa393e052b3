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

/// False where a scan is to answer instead: the walk would cost more, or met too few.
bool Hnsw::walk_biased(Query query, const SearchParams& params, std::size_t ef, Entry entry,
                       HnswBuffers& working, std::vector<Hit>& hits) const {
  const Bound walk_query = walk_bound(query, working);
  const Hit start = descend(graph_, entry, 0, walk_query, BySlot{}, working.beam);
  // A walk among items of equal strength expands about `ef` nodes, and is never given up.
  const BiasedWalk::Limits limits{
      .k = params.k, .ef = ef, .most_expanded = ef + size() / rows_for_a_candidate()};
  BiasedWalk walk(graph_, walk_query, *params.bias, held_, limits, working.beam, working.biased);
  if (!walk.run(start, context_.store.slot_end())) return false;
  auto& met = working.biased.met;
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
