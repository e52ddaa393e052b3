// SPDX-License-Identifier: Apache-2.0
#include "server/engine/read_view.h"

#include <tsl/robin_set.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/bound.h"
#include "core/exact_scan.h"
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
                                                            std::int64_t at_ms, Scratch& scratch,
                                                            NeighborFields fields) const {
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
    if (fields.any()) {
      add_fields(mine.queries[i], mine.hits[i], at_ms, fields, replies.back());
    }
  }
  return replies;
}

std::vector<std::vector<Neighbor>> ReadView::scan(std::span<const float> queries, std::size_t k,
                                                  const SlotSet& items, std::int64_t at_ms,
                                                  NeighborFields fields) const {
  const auto strengths = bias(at_ms);
  const auto handicaps =
      strengths ? std::optional(ScoreBias(*strengths, spec().metric, search_beta())) : std::nullopt;
  const ScoreBias* const bias = handicaps ? &*handicaps : nullptr;
  std::vector<std::vector<Neighbor>> replies;
  AlignedBuffer prepared;
  std::vector<Hit> hits;
  for (; !queries.empty(); queries = queries.subspan(spec().dim)) {
    const Query query = parts_.kernel.prepare(queries.first(spec().dim), prepared);
    scan_nearest(Bound(parts_.kernel, query, parts_.store), items, {.k = k, .bias = bias}, hits);
    replies.push_back(name(hits, bias));
    if (fields.any()) add_fields(query, hits, at_ms, fields, replies.back());
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

std::vector<float> ReadView::distances(Query query, std::span<const Slot> slots) const {
  std::vector<float> scores(slots.size());
  Bound(parts_.kernel, query, parts_.store).gather(slots, scores);
  for (float& score : scores) score = score_to_distance(spec().metric, score);
  return scores;
}

std::vector<float> ReadView::distances(std::span<const float> vector,
                                       std::span<const Slot> slots) const {
  AlignedBuffer prepared;
  return distances(parts_.kernel.prepare(vector, prepared), slots);
}

Status ReadView::find_nearest(std::span<const float> vector, bool in_index,
                              std::span<const Slot> others, Scratch& scratch,
                              std::optional<NearSlot>& nearest) const {
  find_nearest_of(vector, others, nearest);
  if (!in_index) return {};
  AlignedBuffer prepared;
  std::vector<Hit> hits;
  ENGRAM_TRY(index().search(parts_.kernel.prepare(vector, prepared), {.k = 1}, scratch, hits));
  for (const Hit& hit : hits) {
    const float distance = score_to_distance(spec().metric, hit.score);
    if (!nearest || distance < nearest->distance) nearest = {hit.slot, distance};
  }
  return {};
}

void ReadView::find_nearest_of(std::span<const float> vector, std::span<const Slot> others,
                               std::optional<NearSlot>& nearest) const {
  if (others.empty()) return;
  const std::vector<float> far = distances(vector, others);
  for (std::size_t i = 0; i < far.size(); ++i) {
    if (!nearest || far[i] < nearest->distance) nearest = {others[i], far[i]};
  }
}

double ReadView::log_strength(Slot slot, std::int64_t at_ms) const noexcept {
  return parts_.strengths->log_strength(slot, at_ms);
}

void ReadView::add_fields(Query query, std::span<const Hit> hits, std::int64_t at_ms,
                          NeighborFields fields, std::vector<Neighbor>& neighbors) const {
  std::vector<Slot> slots;
  for (const Hit& hit : hits) slots.push_back(hit.slot);
  const auto raw = fields.raw ? distances(query, slots) : std::vector<float>();
  for (std::size_t i = 0; i < slots.size(); ++i) {
    if (fields.raw) neighbors[i].raw = raw[i];
    if (fields.strength) neighbors[i].strength = std::exp(log_strength(slots[i], at_ms));
    if (fields.attributes) neighbors[i].attributes = attributes_of(slots[i]);
  }
}

}  // namespace engram
