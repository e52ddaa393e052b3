// SPDX-License-Identifier: Apache-2.0
#include "server/engine/read_view.h"

#include <tsl/robin_set.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "core/biased_top_k.h"
#include "core/bound.h"
#include "core/exact_scan.h"
#include "server/engine/key_hash.h"

namespace engram {
namespace {

constexpr float kInfiniteScore = std::numeric_limits<float>::infinity();

/// No item whose distance is at most `radius` has a score above this, whatever is added to scores.
/// A few that are farther have one below, and rank last.
float score_of_radius(Metric metric, float radius) noexcept {
  double score = radius;
  switch (metric) {
    case Metric::kL2:
      if (radius < 0) return -kInfiniteScore;
      // Scores below kLeastSquare have an order of their own.
      score = std::max(score * score * (1 + 0x1p-22), double{kLeastSquare});
      break;
    case Metric::kCosine:
      if (radius >= 2) return kInfiniteScore;  // what is farther by rounding is at 2, too
      score += score * 0x1p-23 - 1;
      break;
    case Metric::kDot:
      return radius;
  }
  if (score >= double{std::numeric_limits<float>::max()}) return kInfiniteScore;
  return std::nextafter(static_cast<float>(score), kInfiniteScore);
}

/// What a worker keeps between searches.
struct SearchScratch {
  std::vector<AlignedBuffer> prepared;
  std::vector<Query> queries;
  std::vector<std::vector<Hit>> hits;
};

}  // namespace

Result<std::vector<std::vector<Neighbor>>> ReadView::search(
    std::span<const float> queries, const SearchParams& asked, std::int64_t at_ms, Scratch& scratch,
    NeighborFields fields, const FilteredItems* among, std::span<SearchReport> reports,
    float radius) const {
  const auto strengths = bias(at_ms);
  const auto handicaps =
      strengths ? std::optional(ScoreBias(*strengths, spec().metric, search_beta())) : std::nullopt;
  SearchParams params = asked;
  if (handicaps) params.bias = &*handicaps;
  params.max_score = score_of_radius(spec().metric, radius);
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

  const std::span<std::vector<Hit>> hits(mine.hits.data(), count);
  if (among != nullptr) {
    ENGRAM_TRY(search_among(*among, mine.queries, params, scratch, hits, reports));
  } else {
    if (!reports.empty()) {
      reports[0].items = index().size();
      params.effort = &reports[0].effort;
    }
    ENGRAM_TRY(search_index(mine.queries, params, scratch, hits));
  }
  std::vector<std::vector<Neighbor>> replies;
  replies.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    leave_within(radius, params.bias, hits[i]);
    replies.push_back(name(hits[i], params.bias));
    if (fields.any()) {
      add_fields(mine.queries[i], hits[i], at_ms, fields, replies.back());
    }
  }
  return replies;
}

/// Fills `hits` with the nearest slots of different keys.
Status ReadView::search_index(std::span<const Query> queries, const SearchParams& params,
                              Scratch& scratch, std::span<std::vector<Hit>> hits) const {
  const Replacements::Moment began = parts_.replacements.now();
  ENGRAM_TRY(index().search_batch(queries, params, scratch, hits));
  for (std::size_t i = 0; i < queries.size(); ++i) {
    if (!parts_.replacements.any_since(began)) continue;
    ENGRAM_TRY(reconcile(queries[i], params, began, scratch, hits[i]));
  }
  return {};
}

/// The same of those that meet a filter.
Status ReadView::search_among(const FilteredItems& among, std::span<const Query> queries,
                              const SearchParams& asked, Scratch& scratch,
                              std::span<std::vector<Hit>> hits,
                              std::span<SearchReport> reports) const {
  SearchParams params = asked;
  params.items = &among.planned_filter();
  params.matches = among.estimate();
  const SearchWay way = choose_way(index(), spec().primitive->traits, params);
  params.items = &among.filter();
  for (std::size_t i = 0; i < queries.size(); ++i) {
    SearchReport report{.way = way, .items = among.size(), .estimated = *params.matches};
    params.effort = &report.effort;
    Result<bool> is_answered = false;
    if (way == SearchWay::kWalk) {
      is_answered = walk(among, queries[i], params, scratch, hits[i]);
      if (!is_answered) return tl::unexpected(std::move(is_answered.error()));
      if (!*is_answered) report.way = SearchWay::kWalkThenScan;
      if (report.effort.visited == 0) report.way = SearchWay::kScan;  // the index knew better
    }
    if (!*is_answered) ENGRAM_TRY(scan_matching(among, queries[i], params, hits[i]));
    if (!reports.empty()) reports[i] = report;
  }
  return {};
}

/// False if it left too few, not because it was cut short: it has not found its way to all of them.
Result<bool> ReadView::walk(const FilteredItems& among, Query query, const SearchParams& params,
                            Scratch& scratch, std::vector<Hit>& hits) const {
  ENGRAM_TRY(search_index({&query, 1}, params, scratch, {&hits, 1}));
  if (hits.size() >= params.k || !params.effort->complete) return true;
  if (params.max_score < kInfiniteScore) return true;  // perhaps there are no more so near
  const auto matching = among.matching();
  if (!matching) return tl::unexpected(matching.error());
  return hits.size() >= (*matching)->size();
}

/// Of items as they were when the job was asked for, of which each key has one: their rows stay.
Status ReadView::scan_matching(const FilteredItems& among, Query query, const SearchParams& params,
                               std::vector<Hit>& hits) const {
  const auto matching = among.matching();
  if (!matching) return tl::unexpected(matching.error());
  SearchParams of_matching = params;
  of_matching.items = nullptr;
  scan_nearest(Bound(parts_.kernel, query, parts_.store), **matching, of_matching, hits);
  return {};
}

std::vector<std::vector<Neighbor>> ReadView::scan(std::span<const float> queries, std::size_t k,
                                                  const SlotSet& items, std::int64_t at_ms,
                                                  NeighborFields fields, float radius) const {
  const auto strengths = bias(at_ms);
  const auto handicaps =
      strengths ? std::optional(ScoreBias(*strengths, spec().metric, search_beta())) : std::nullopt;
  const ScoreBias* const bias = handicaps ? &*handicaps : nullptr;
  std::vector<std::vector<Neighbor>> replies;
  AlignedBuffer prepared;
  std::vector<Hit> hits;
  for (; !queries.empty(); queries = queries.subspan(spec().dim)) {
    const Query query = parts_.kernel.prepare(queries.first(spec().dim), prepared);
    const float most = score_of_radius(spec().metric, radius);
    const SearchParams params = {.k = k, .bias = bias, .max_score = most};
    scan_nearest(Bound(parts_.kernel, query, parts_.store), items, params, hits);
    leave_within(radius, bias, hits);
    replies.push_back(name(hits, bias));
    if (fields.any()) add_fields(query, hits, at_ms, fields, replies.back());
  }
  return replies;
}

std::optional<StrengthBias> ReadView::bias(std::int64_t at_ms) const {
  if (parts_.strengths == nullptr || parts_.strengths->are_even()) return std::nullopt;
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
    if (add_missed(query, params, began, hits)) {
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
bool ReadView::add_missed(Query query, const SearchParams& params,
                          const Replacements::Moment& began, std::vector<Hit>& hits) const {
  std::vector<Slot> slots;
  if (!parts_.replacements.list_since(began, slots)) return false;
  if (params.items != nullptr) {
    std::erase_if(slots, [&](Slot slot) { return !params.items->accepts(slot); });
  }
  std::vector<float> scores(slots.size());
  Bound(parts_.kernel, query, parts_.store).gather(slots, scores);
  if (params.bias != nullptr) params.bias->apply(slots, scores);
  for (std::size_t i = 0; i < slots.size(); ++i) {
    if (!(scores[i] > params.max_score)) hits.push_back({scores[i], slots[i]});
  }
  std::sort(hits.begin(), hits.end());
  return true;
}

/// Returns how many hits it removed.
std::size_t ReadView::keep_first_of_each_key(std::vector<Hit>& hits) const {
  tsl::robin_set<std::string_view, KeyHash> met;
  return std::erase_if(hits, [&](const Hit& hit) { return !met.insert(key_of(hit.slot)).second; });
}

/// By the distances that are answered, so that rounding keeps none of them out. For primitives that
/// do not take a radius this is all there is to it: what they rank within it comes first.
void ReadView::leave_within(float radius, const ScoreBias* bias, std::vector<Hit>& hits) const {
  if (radius == kAnyRadius) return;
  std::erase_if(hits, [&](const Hit& hit) { return distance_of(hit, bias) > radius; });
}

std::vector<Neighbor> ReadView::name(std::span<const Hit> hits, const ScoreBias* bias) const {
  std::vector<Neighbor> neighbors;
  neighbors.reserve(hits.size());
  for (const Hit& hit : hits) {
    neighbors.push_back(
        {.key = key_of(hit.slot), .distance = distance_of(hit, bias), .slot = hit.slot});
  }
  return neighbors;
}

void ReadView::scan(Query query, const SlotSet& items, std::size_t k,
                    std::vector<Hit>& hits) const {
  scan_nearest(Bound(parts_.kernel, query, parts_.store), items, k, hits);
}

std::vector<float> ReadView::scan_on(std::span<const float> query, const SlotSet& items,
                                     SlotRange slots, std::size_t k, std::int64_t at_ms,
                                     std::vector<Hit>& nearest) const {
  const auto strengths = bias(at_ms);
  const auto handicaps =
      strengths ? std::optional(ScoreBias(*strengths, spec().metric, search_beta())) : std::nullopt;
  AlignedBuffer storage;
  const Bound bound(parts_.kernel, prepare(query, storage), parts_.store);
  std::vector<Hit> part;
  TopK best(k, part);
  if (handicaps) {
    BiasedTopK biased(best, *handicaps);
    scan_into(bound, items, slots.begin, slots.end, biased);
  } else {
    scan_into(bound, items, slots.begin, slots.end, best);
  }
  best.finish();
  nearest.insert(nearest.end(), part.begin(), part.end());
  std::sort(nearest.begin(), nearest.end());
  nearest.resize(std::min(nearest.size(), k));
  std::vector<float> distances;
  distances.reserve(nearest.size());
  for (const Hit& hit : nearest) {
    distances.push_back(distance_of(hit, handicaps ? &*handicaps : nullptr));
  }
  return distances;
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
