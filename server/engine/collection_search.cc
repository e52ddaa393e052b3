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

  const Moment began = moment();
  ENGRAM_TRY(index_->search_batch(mine.queries, params, scratch, {mine.hits.data(), count}));
  std::vector<std::vector<Answer>> replies;
  replies.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    if (was_replaced_since(began)) {
      ENGRAM_TRY(reconcile(mine.queries[i], params, began, scratch, mine.hits[i]));
    }
    replies.push_back(name(mine.hits[i]));
  }
  return replies;
}

Collection::Moment Collection::moment() const noexcept {
  return {replacements_ended_.load(), replacements_.position()};
}

/// Whether a key may have had two versions in the index since then.
bool Collection::was_replaced_since(const Moment& moment) const noexcept {
  return replacements_begun_.load() != moment.replacements_ended;
}

/// Makes `hits`, of a search that began at `began`, what they would have been without the
/// overwrites that it met: adds what it has missed, keeps the nearest hit of each key, and searches
/// again if that leaves too few.
Status Collection::reconcile(Query query, SearchParams params, Moment began, Scratch& scratch,
                             std::vector<Hit>& hits) const {
  const std::size_t wanted = params.k;
  for (;;) {
    const bool is_exhausted = hits.size() < params.k;
    if (add_missed(query, began, hits)) {
      const std::size_t repeats = keep_first_of_each_key(hits);
      if (repeats == 0 || is_exhausted || hits.size() >= wanted) break;
      params.k += repeats;
    }
    began = moment();
    ENGRAM_TRY(index_->search(query, params, scratch, hits));
  }
  hits.resize(std::min(hits.size(), wanted));
  return {};
}

/// False if so much was replaced meanwhile that it is not known any more.
bool Collection::add_missed(Query query, const Moment& began, std::vector<Hit>& hits) const {
  std::vector<Slot> slots;
  if (!replacements_.since(began.position, slots)) return false;
  std::vector<float> scores(slots.size());
  Bound(*kernel_, query, *store_).gather(slots, scores);
  for (std::size_t i = 0; i < slots.size(); ++i) hits.push_back({scores[i], slots[i]});
  std::sort(hits.begin(), hits.end());
  return true;
}

/// Returns how many hits it removed.
std::size_t Collection::keep_first_of_each_key(std::vector<Hit>& hits) const {
  tsl::robin_set<std::string_view> met;
  return std::erase_if(hits, [&](const Hit& hit) { return !met.insert(key_of(hit.slot)).second; });
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
