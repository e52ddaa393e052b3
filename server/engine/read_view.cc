// SPDX-License-Identifier: Apache-2.0
#include "server/engine/read_view.h"

#include <tsl/robin_set.h>

#include <algorithm>
#include <utility>

#include "core/bound.h"
#include "server/engine/key_hash.h"

namespace engram {
namespace {

/// What a worker keeps between searches.
struct SearchScratch {
  std::vector<AlignedBuffer> prepared;
  std::vector<Query> queries;
  std::vector<std::vector<Hit>> hits;
};

}  // namespace

Result<std::vector<std::vector<Neighbor>>> ReadView::search(std::span<const float> queries,
                                                            const SearchParams& asked,
                                                            std::int64_t at_ms,
                                                            Scratch& scratch) const {
  const auto strengths = bias(at_ms);
  const auto handicaps =
      strengths ? std::optional(ScoreBias(*strengths, spec().metric, search_beta())) : std::nullopt;
  SearchParams params = asked;
  if (handicaps) params.bias = &*handicaps;
  const std::size_t dim = spec().dim;
  const std::size_t count = queries.size() / dim;
  auto& mine = scratch.get<SearchScratch>();
  if (mine.hits.size() < count) {
    mine.prepared.resize(count);
    mine.hits.resize(count);
  }
  mine.queries.clear();
  for (std::size_t i = 0; i < count; ++i) {
    const auto vector = queries.subspan(i * dim, dim);
    mine.queries.push_back(parts_.kernel.prepare(vector, mine.prepared[i]));
  }

  const Replacements::Moment began = parts_.replacements.now();
  ENGRAM_TRY(index().search_batch(mine.queries, params, scratch, {mine.hits.data(), count}));
  std::vector<std::vector<Neighbor>> replies;
  replies.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    if (parts_.replacements.any_since(began)) {
      ENGRAM_TRY(reconcile(mine.queries[i], params, began, scratch, mine.hits[i]));
    }
    replies.push_back(name(mine.hits[i], params.bias));
  }
  return replies;
}

std::optional<StrengthBias> ReadView::bias(std::int64_t at_ms) const {
  if (parts_.strengths == nullptr) return std::nullopt;
  return std::optional<StrengthBias>(std::in_place, *parts_.strengths, at_ms);
}

double ReadView::search_beta() const {
  const Recaller* const recaller = parts_.index.recaller();
  const double beta = recaller == nullptr ? 0 : recaller->beta();
  return beta > 0 ? beta : 1;
}

std::vector<Fact> ReadView::describe_recaller() const {
  const Recaller* const recaller = parts_.index.recaller();
  return recaller == nullptr ? std::vector<Fact>() : recaller->describe();
}

/// Makes `hits`, of a search that began at `began`, what they would have been without the
/// overwrites that it met: adds what it has missed, keeps the nearest hit of each key, and searches
/// again if that leaves too few.
Status ReadView::reconcile(Query query, SearchParams params, Replacements::Moment began,
                           Scratch& scratch, std::vector<Hit>& hits) const {
  const std::size_t wanted = params.k;
  for (;;) {
    const bool is_exhausted = hits.size() < params.k;
    if (add_missed(query, params.bias, began, hits)) {
      const std::size_t repeats = keep_first_of_each_key(hits);
      if (repeats == 0 || is_exhausted || hits.size() >= wanted) break;
      params.k += repeats;
    }
    began = parts_.replacements.now();
    ENGRAM_TRY(index().search(query, params, scratch, hits));
  }
  hits.resize(std::min(hits.size(), wanted));
  return {};
}

/// False if so much was replaced meanwhile that it is not known any more.
bool ReadView::add_missed(Query query, const ScoreBias* bias, const Replacements::Moment& began,
                          std::vector<Hit>& hits) const {
  std::vector<Slot> slots;
  if (!parts_.replacements.list_since(began, slots)) return false;
  std::vector<float> scores(slots.size());
  Bound(parts_.kernel, query, parts_.store).gather(slots, scores);
  if (bias != nullptr) bias->apply(slots, scores);
  for (std::size_t i = 0; i < slots.size(); ++i) hits.push_back({scores[i], slots[i]});
  std::sort(hits.begin(), hits.end());
  return true;
}

/// Returns how many hits it removed.
std::size_t ReadView::keep_first_of_each_key(std::vector<Hit>& hits) const {
  tsl::robin_set<std::string_view, KeyHash> met;
  return std::erase_if(hits, [&](const Hit& hit) { return !met.insert(key_of(hit.slot)).second; });
}

std::vector<Neighbor> ReadView::name(std::span<const Hit> hits, const ScoreBias* bias) const {
  std::vector<Neighbor> neighbors;
  neighbors.reserve(hits.size());
  for (const Hit& hit : hits) {
    const float distance =
        bias == nullptr ? score_to_distance(spec().metric, hit.score) : bias->distance(hit.score);
    neighbors.push_back({key_of(hit.slot), distance});
  }
  return neighbors;
}

}  // namespace engram
