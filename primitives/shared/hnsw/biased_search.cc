// SPDX-License-Identifier: Apache-2.0
// Search among items of different strength, and within a radius.
#include <algorithm>
#include <cmath>
#include <limits>

#include "primitives/shared/hnsw/accepted_walk.h"
#include "primitives/shared/hnsw/biased_walk.h"
#include "primitives/shared/hnsw/hnsw.h"

namespace engram::hnsw {
namespace {

/// How many nodes outside a radius a search knows that keeps `ef` candidates, before it ends. The
/// more lie within, the more of them are at its edge, where links lead out and in again. Measured:
/// README.md, "Radius".
std::size_t outside_of(std::size_t ef, std::size_t within) noexcept {
  constexpr double kEdge = 15;
  const double more = 1 + std::sqrt(static_cast<double>(within)) / kEdge;
  return static_cast<std::size_t>(static_cast<double>(ef) * more);
}

/// Makes the kernel's scores effective ones.
void weigh(const ScoreBias& bias, std::span<Hit> hits, HnswBuffers& working) {
  auto& slots = working.slots;
  slots.clear();
  working.scores.clear();
  for (const Hit& hit : hits) {
    slots.push_back(hit.slot);
    working.scores.push_back(hit.score);
  }
  bias.apply(slots, working.scores);
  for (std::size_t i = 0; i < hits.size(); ++i) hits[i].score = working.scores[i];
}

/// The same of those that may be among the k best; the others go. The nearest k say which these
/// are.
void weigh_best(const ScoreBias& bias, std::size_t k, std::vector<Hit>& hits,
                HnswBuffers& working) {
  if (hits.size() <= k) return weigh(bias, hits, working);
  const auto others = hits.begin() + static_cast<std::ptrdiff_t>(k);
  std::nth_element(hits.begin(), others, hits.end());
  weigh(bias, {hits.begin(), others}, working);
  const Hit limit = *std::max_element(hits.begin(), others);
  hits.erase(std::partition(others, hits.end(), [&](const Hit& hit) { return hit < limit; }),
             hits.end());
  weigh(bias, std::span(hits).subspan(k), working);
}

}  // namespace

/// Gives what a walk by codes found its true scores.
void Hnsw::rank_again(const Bound& bound, std::span<Hit> found, HnswBuffers& working) const {
  auto& slots = working.slots;
  slots.clear();
  for (const Hit& hit : found) slots.push_back(hit.slot);
  bound.fetch(slots);
  const auto scores = score_all(bound, slots, working.scores);
  for (std::size_t i = 0; i < found.size(); ++i) found[i].score = scores[i];
}

/// By how much codes are wrong at most about what was found: so much farther than a radius a walk
/// by codes has to look.
float Hnsw::error_of_codes(const Bound& bound, std::span<const Rank> found,
                           HnswBuffers& working) const {
  auto& slots = working.slots;
  slots.clear();
  for (const Rank rank : found) slots.push_back(BySlot::hit(rank).slot);
  const auto scores = score_all(bound, slots, working.scores);
  float error = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    const float off = std::abs(scores[i] - BySlot::hit(found[i]).score);
    if (off > error) error = off;  // a NaN's is not
  }
  return error;
}

/// The walk to the nearest first. Then its answers, and what it left aside, are biased, and if
/// something that it did not meet may be better than the k-th best of these and within the radius,
/// the walk goes on until nothing may: what lies beyond can be no answer, however strong it is.
/// Among items of equal strength, and k within the radius, that is never the case. False where a
/// scan is to answer instead: going on would cost more, or the walk met too few.
bool Hnsw::walk_widely(const WalkTask& task, HnswBuffers& working, std::vector<Hit>& hits) const {
  const SearchParams& params = task.params;
  const Bound exact(context_.kernel, task.query, context_.store);
  const bool is_bounded = params.max_score < std::numeric_limits<float>::infinity();
  BiasedBeam& biased = working.biased;
  biased.clear();
  BestByBias best(params.bias, {held_, params.items}, params.k, biased);
  auto& met = biased.met;
  const auto go_on = [&](auto& walk, std::span<Rank> found, bool is_cut_off) {
    if (found.size() < task.k && !is_cut_off) return false;
    if (is_bounded) {
      const float error = compares_codes() ? error_of_codes(exact, found, working) : 0;
      best.stay_within(params.max_score + error);
      best.look_outside(outside_of(task.ef, best.count_within(found) +
                                                best.count_within(biased.displaced) +
                                                best.count_within(biased.passed)));
    }
    best.offer_found(found, compares_codes());
    if (best.bound() > walk.farthest() && !is_cut_off) {
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
    return is_bounded || met.size() >= params.k || is_cut_off;
  };
  if (!walk_accepted(task, working, KeepRest{biased}, go_on)) return false;
  if (compares_codes()) {
    const std::size_t most = is_bounded ? met.size() : std::min(task.ef, met.size());
    const auto end = met.begin() + static_cast<std::ptrdiff_t>(most);
    if (most > 0) std::nth_element(met.begin(), end - 1, met.end());
    met.resize(most);
    rank_again(exact, met, working);
    if (params.bias != nullptr) weigh_best(*params.bias, params.k, met, working);
  }
  std::erase_if(met, [&](const Hit& hit) { return hit.score > params.max_score; });
  const auto end = met.begin() + static_cast<std::ptrdiff_t>(std::min(params.k, met.size()));
  std::partial_sort(met.begin(), end, met.end());
  hits.assign(met.begin(), end);
  return true;
}

}  // namespace engram::hnsw
