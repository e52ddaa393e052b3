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

}  // namespace

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
/// something that it did not meet may be among the best of these (best_to_keep()) and within the
/// radius, the walk goes on until nothing may: what lies beyond can be no answer, however strong it
/// is. Among items of equal strength, and k within the radius, that is never the case. False where
/// a scan is to answer instead: going on would cost more, or the walk met too few.
bool Hnsw::walk_widely(const WalkTask& task, HnswBuffers& working, std::vector<Hit>& hits) const {
  const SearchParams& params = task.params;
  const Bound exact(context_.kernel, task.query, context_.store);
  const bool is_bounded = params.max_score < std::numeric_limits<float>::infinity();
  BiasedBeam& biased = working.biased;
  biased.clear();
  const std::size_t to_keep = params.bias == nullptr ? params.k : best_to_keep(task.ef, params.k);
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
    best.keep_best(std::clamp(found.size(), params.k, to_keep));
    best.offer_found(found, compares_codes());
    if (best.bound() > walk.farthest() && !is_cut_off) {
      best.offer(biased.displaced);
      best.offer(biased.passed);
      const Rank bound = best.bound();
      for (const Rank rank : biased.passed) {
        if (rank < bound) working.beam.frontier.push(rank);
      }
      const std::size_t most = size() / rows_for_a_candidate();
      if (!walk.widen(most, best)) return false;
    }
    return is_bounded || met.size() >= params.k || is_cut_off;
  };
  if (!walk_accepted(task, working, KeepRest{biased}, go_on)) return false;
  if (!is_bounded) {
    answer(task.query, met, params.k, params.bias, working, hits);
    return true;
  }
  if (compares_codes()) rank_again(exact, met, params.bias, working);
  std::erase_if(met, [&](Rank rank) { return BySlot::hit(rank).score > params.max_score; });
  nearest_hits(met, params.k, hits);
  return true;
}

}  // namespace engram::hnsw
