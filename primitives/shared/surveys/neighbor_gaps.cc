// SPDX-License-Identifier: Apache-2.0
#include "primitives/shared/surveys/neighbor_gaps.h"

#include <cmath>
#include <limits>

#include "core/bound.h"
#include "core/row.h"
#include "primitives/shared/rows/rows.h"
#include "primitives/shared/statistics/statistics.h"

namespace engram::recall {

/// What a worker keeps between measurements.
struct NeighborGaps::Buffers {
  std::vector<Hit> hits;
  std::vector<float> scores;
  AlignedBuffer own_row;
  AlignedBuffer decoded;
};

double scale_of(const std::vector<double>& gaps) {
  for (int decile = 1; decile <= 9 && !gaps.empty(); ++decile) {
    const double gap = quantile(gaps, decile / 10.0);
    if (gap > 0) return gap;
  }
  return 0;
}

NeighborGaps::NeighborGaps(const MemoryView& memory, const RowAlgebra& algebra, const Items& items,
                           std::size_t count, std::uint64_t seed)
    : memory_(memory), algebra_(algebra), graph_(items.graph) {
  if (graph_ != nullptr && items.count < graph_->size()) filter_.emplace(*items.among);
  items.among->list(all_);
  if (all_.size() >= 2) slots_ = draw_sample(all_, count, seed);
}

const float* NeighborGaps::row(Slot slot, AlignedBuffer& buffer) const {
  const float* values = nullptr;
  for_each_piece(memory_.context.store, {&slot, 1}, buffer,
                 [&](std::span<const std::byte* const> rows, std::size_t) {
                   values = reinterpret_cast<const float*>(rows[0]);
                 });
  return values;
}

/// Fills buffers.hits with `slot`, the item nearest to it and the nearest that is no copy of it, if
/// there is one, and perhaps others, in any order.
Status NeighborGaps::find_nearest(Slot slot, const float* state, std::size_t candidates,
                                  Scratch& scratch, Buffers& buffers) const {
  const Query query{reinterpret_cast<const std::byte*>(state)};
  const Bound bound(memory_.context.kernel, query, memory_.context.store);
  if (graph_ != nullptr) {
    constexpr std::size_t kNeighbors = 16;
    ENGRAM_TRY(graph_->search(query, {.k = kNeighbors, .ef = 2 * candidates, .items = filter()},
                              scratch, buffers.hits));
    buffers.hits.push_back({bound.score(slot), slot});
    return {};
  }
  buffers.scores.resize(all_.size());
  score_all(bound, all_, buffers.scores);
  buffers.hits.clear();
  const Hit own{bound.score(slot), slot};
  Hit nearest{std::numeric_limits<float>::infinity(), kNoSlot};
  Hit other = nearest;
  for (std::size_t i = 0; i < all_.size(); ++i) {
    const Hit hit{buffers.scores[i], all_[i]};
    if (hit.slot == slot) continue;
    if (hit < nearest) nearest = hit;
    if (hit < other && hit.score > own.score) other = hit;
  }
  buffers.hits = {own, nearest, other};
  return {};
}

Status NeighborGaps::measure(Slot slot, std::size_t candidates, Scratch& scratch) {
  auto& buffers = scratch.get<Buffers>();
  const float* const state = row(slot, buffers.own_row);
  ENGRAM_TRY(find_nearest(slot, state, candidates, scratch, buffers));
  float own = 0;
  for (const Hit& hit : buffers.hits) {
    if (hit.slot == slot) own = hit.score;
  }
  float nearest = std::numeric_limits<float>::infinity();
  float other = nearest;
  for (const Hit& hit : buffers.hits) {
    if (hit.slot == slot) continue;
    nearest = std::min(nearest, hit.score);
    if (hit.score > own) other = std::min(other, hit.score);
  }
  const Metric metric = memory_.context.store.metric();
  const auto keep = [&](float score, std::vector<double>& gaps) {
    const double gap = metric == Metric::kL2
                           ? 0.5 * (squared_distance(score) - squared_distance(own))
                           : double{score} - double{own};
    if (std::isfinite(gap)) gaps.push_back(gap);
  };
  keep(nearest, gaps_);
  keep(other, gaps_to_others_);
  if (metric == Metric::kDot) measure_square(slot, state, buffers);
  return {};
}

/// Under dot a longer item may be more similar to one than that is to itself; how far apart they
/// are is then what there is to go by.
void NeighborGaps::measure_square(Slot slot, const float* state, Buffers& buffers) {
  const VectorStore& store = memory_.context.store;
  std::vector<float> ones(row_bytes(store.dim()) / sizeof(float));
  std::fill_n(ones.begin(), store.dim(), 1.0F);
  double nearest = std::numeric_limits<double>::infinity();
  std::vector<double> squares;
  for_each_piece(store, all_, buffers.decoded,
                 [&](std::span<const std::byte* const> rows, std::size_t first) {
                   squares.resize(rows.size());
                   algebra_.weighted_squares(state, ones.data(), rows, squares);
                   for (std::size_t i = 0; i < rows.size(); ++i) {
                     if (all_[first + i] != slot) nearest = std::min(nearest, 0.5 * squares[i]);
                   }
                 });
  if (std::isfinite(nearest)) halved_squares_.push_back(nearest);
}

}  // namespace engram::recall
