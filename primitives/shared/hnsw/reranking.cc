// SPDX-License-Identifier: Apache-2.0
// What a walk by codes found is ranked again by vectors, as far as these can change the answer.
#include <algorithm>
#include <cmath>

#include "primitives/shared/hnsw/hnsw.h"

namespace engram::hnsw {
namespace {

/// Ranked at first beside the k nearest by codes: by these it is known how far codes are off.
constexpr std::size_t kFewestBeside = 8;

/// How many times that much farther than the k-th a candidate may seem and still be ranked. If
/// errors are normal, one in 30,000 that seems so far is nearer than the k-th. With 3, 40,000 words
/// lost .0002 of their recall, and nothing was faster.
constexpr double kMargin = 4;

/// The scores of working.slots, whose rows may have to come from the disk.
std::span<float> fetch_scores(const Bound& bound, HnswBuffers& working) {
  bound.fetch(working.slots);
  score_all(bound, working.slots, working.scores);
  return {working.scores.data(), working.slots.size()};
}

}  // namespace

/// Gives what a walk by codes found its true scores, effective ones with a bias. Returns the sum of
/// the squares by which codes were off.
double Hnsw::rank_again(const Bound& bound, std::span<Rank> found, const ScoreBias* bias,
                        HnswBuffers& working) const {
  auto& slots = working.slots;
  slots.clear();
  for (const Rank rank : found) slots.push_back(BySlot::hit(rank).slot);
  const std::span<float> scores = fetch_scores(bound, working);
  if (bias != nullptr) bias->apply(slots, scores);
  double squares = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    const double off = double{scores[i]} - double{BySlot::hit(found[i]).score};
    squares += off * off;
    found[i] = BySlot::rank({scores[i], slots[i]});
  }
  return squares;
}

/// The same for those that may be among the k nearest; the others stay behind them. First for the
/// nearest by codes, then for what is not so far behind the k-th that codes cannot be that wrong.
/// k: at least 1. found: in no order, before and after.
void Hnsw::rank_nearest(const Bound& bound, std::span<Rank> found, std::size_t k,
                        const ScoreBias* bias, HnswBuffers& working) const {
  const std::size_t first = k + std::max(k / 2, kFewestBeside);
  if (found.size() <= first) {
    rank_again(bound, found, bias, working);
    return;
  }
  const auto sure_end = found.begin() + static_cast<std::ptrdiff_t>(first);
  std::nth_element(found.begin(), sure_end, found.end());
  const std::span<Rank> sure = found.first(first);
  const double squares = rank_again(bound, sure, bias, working);
  const auto kth = sure.begin() + static_cast<std::ptrdiff_t>(k - 1);
  std::nth_element(sure.begin(), kth, sure.end());
  const double off = std::sqrt(squares / static_cast<double>(first));
  const double limit = double{BySlot::hit(*kth).score} + kMargin * off;
  // Where a row is not finite neither is the limit, and all are ranked.
  const auto end = std::partition(sure_end, found.end(), [limit](Rank rank) {
    return !(double{BySlot::hit(rank).score} > limit);
  });
  rank_again(bound, {sure_end, end}, bias, working);
}

}  // namespace engram::hnsw
