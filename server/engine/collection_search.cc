// SPDX-License-Identifier: Apache-2.0
// The read path below the event loop: everything here runs on workers.
#include <tsl/robin_set.h>

#include <algorithm>
#include <utility>

#include "server/engine/collection.h"

namespace engram {
namespace {

/// What a worker keeps between searches.
struct SearchScratch {
  std::vector<AlignedBuffer> prepared;
  std::vector<Query> queries;
  std::vector<std::vector<Hit>> hits;
};

}  // namespace

Result<std::vector<std::vector<Answer>>> Collection::search(std::span<const float> queries,
                                                            const SearchParams& params,
                                                            Scratch& scratch) const {
  const std::size_t count = queries.size() / spec_.dim;
  auto& mine = scratch.get<SearchScratch>();
  if (mine.hits.size() < count) {
    mine.prepared.resize(count);
    mine.hits.resize(count);
  }
  mine.queries.clear();
  for (std::size_t i = 0; i < count; ++i) {
    const auto vector = queries.subspan(i * spec_.dim, spec_.dim);
    mine.queries.push_back(kernel_->prepare(vector, mine.prepared[i]));
  }

  const std::uint64_t ended_before = replacements_ended_.load();
  ENGRAM_TRY(index_->search_batch(mine.queries, params, scratch, {mine.hits.data(), count}));
  const bool may_repeat_keys = replacements_begun_.load() != ended_before;

  std::vector<std::vector<Answer>> replies;
  replies.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    if (may_repeat_keys) ENGRAM_TRY(drop_repeats(mine.queries[i], params, scratch, mine.hits[i]));
    replies.push_back(name(mine.hits[i]));
  }
  return replies;
}

/// Keeps the nearest hit of each key, and searches again for as many as that leaves missing.
Status Collection::drop_repeats(Query query, SearchParams params, Scratch& scratch,
                                std::vector<Hit>& hits) const {
  const std::size_t wanted = params.k;
  for (;;) {
    const bool is_exhausted = hits.size() < params.k;
    const std::size_t repeats = keep_first_of_each_key(hits);
    if (repeats == 0 || is_exhausted || hits.size() >= wanted) break;
    params.k += repeats;
    ENGRAM_TRY(index_->search(query, params, scratch, hits));
  }
  hits.resize(std::min(hits.size(), wanted));
  return {};
}

/// Returns how many hits it removed.
std::size_t Collection::keep_first_of_each_key(std::vector<Hit>& hits) const {
  tsl::robin_set<std::string_view> met;
  return std::erase_if(hits, [&](const Hit& hit) { return !met.insert(key_of(hit.slot)).second; });
}

std::string_view Collection::key_of(Slot slot) const noexcept {
  return entries_[slot]->key;
}

std::vector<Answer> Collection::name(std::span<const Hit> hits) const {
  std::vector<Answer> answers;
  answers.reserve(hits.size());
  for (const Hit& hit : hits) {
    answers.push_back({key_of(hit.slot), score_to_distance(spec_.metric, hit.score)});
  }
  return answers;
}

}  // namespace engram
