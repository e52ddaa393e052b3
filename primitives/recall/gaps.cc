// SPDX-License-Identifier: Apache-2.0
#include "primitives/recall/gaps.h"

#include <cmath>
#include <limits>
#include <numeric>

#include "core/bound.h"
#include "core/hash.h"
#include "core/row.h"
#include "primitives/recall/rows.h"

namespace engram::recall {

std::vector<Slot> draw(const std::vector<Slot>& slots, std::size_t count, std::uint64_t seed) {
  // Those whose hashes are the least.
  std::vector<Slot> drawn = slots;
  const auto precedes = [salt = mix(seed)](Slot a, Slot b) {
    return mix(a ^ salt) < mix(b ^ salt);
  };
  if (count < drawn.size()) {
    const auto end = drawn.begin() + static_cast<std::ptrdiff_t>(count);
    std::nth_element(drawn.begin(), end, drawn.end(), precedes);
    drawn.resize(count);
  }
  std::sort(drawn.begin(), drawn.end());
  return drawn;
}

double mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double quantile(std::vector<double> values, double share) {
  const auto place = static_cast<std::ptrdiff_t>(share * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), values.begin() + place, values.end());
  return values[static_cast<std::size_t>(place)];
}

double scale_of(const std::vector<double>& gaps) {
  for (int decile = 1; decile <= 9 && !gaps.empty(); ++decile) {
    const double gap = quantile(gaps, decile / 10.0);
    if (gap > 0) return gap;
  }
  return 0;
}

GapSample::GapSample(const Memory& memory, const RowAlgebra& algebra, const Items& items,
                     std::size_t count, std::uint64_t seed)
    : memory_(memory), algebra_(algebra), graph_(items.graph) {
  items.among->list(all_);
  if (all_.size() >= 2) slots_ = draw(all_, count, seed);
}

const float* GapSample::row(Slot slot, EnergyBuffers& buffers) const {
  const float* values = nullptr;
  for_each_piece(memory_.context.store, {&slot, 1}, buffers.own_row,
                 [&](std::span<const std::byte* const> rows, std::size_t) {
                   values = reinterpret_cast<const float*>(rows[0]);
                 });
  return values;
}

/// Fills buffers.hits with `slot` and the item nearest to it, and perhaps others, in any order.
Status GapSample::find_nearest(Slot slot, const float* state, std::size_t candidates,
                               Scratch& scratch, DescentBuffers& buffers) const {
  const Query query{reinterpret_cast<const std::byte*>(state)};
  const Bound bound(memory_.context.kernel, query, memory_.context.store);
  if (graph_ != nullptr) {
    constexpr std::size_t kNeighbors = 16;
    ENGRAM_TRY(
        graph_->search(query, {.k = kNeighbors, .ef = 2 * candidates}, scratch, buffers.hits));
    buffers.hits.push_back({bound.score(slot), slot});
    return {};
  }
  buffers.energy.scores.resize(all_.size());
  score_all(bound, all_, buffers.energy.scores);
  buffers.hits.clear();
  Hit nearest{std::numeric_limits<float>::infinity(), kNoSlot};
  for (std::size_t i = 0; i < all_.size(); ++i) {
    const Hit hit{buffers.energy.scores[i], all_[i]};
    if (hit.slot == slot) buffers.hits.push_back(hit);
    if (hit.slot != slot && hit < nearest) nearest = hit;
  }
  buffers.hits.push_back(nearest);
  return {};
}

Status GapSample::measure(Slot slot, std::size_t candidates, Scratch& scratch) {
  auto& buffers = scratch.get<DescentBuffers>();
  const float* const state = row(slot, buffers.energy);
  ENGRAM_TRY(find_nearest(slot, state, candidates, scratch, buffers));
  float own = 0;
  float nearest = std::numeric_limits<float>::infinity();
  for (const Hit& hit : buffers.hits) {
    if (hit.slot == slot) {
      own = hit.score;
    } else {
      nearest = std::min(nearest, hit.score);
    }
  }
  const Metric metric = memory_.context.store.metric();
  const double gap = (metric == Metric::kL2 ? 0.5 : 1.0) * (double{nearest} - double{own});
  if (std::isfinite(gap)) gaps_.push_back(gap);
  if (metric == Metric::kDot) measure_square(slot, state, buffers);
  return {};
}

/// Under dot a longer item may be more similar to one than that is to itself; how far apart they
/// are is then what there is to go by.
void GapSample::measure_square(Slot slot, const float* state, DescentBuffers& buffers) {
  const VectorStore& store = memory_.context.store;
  std::vector<float> ones(row_bytes(store.dim()) / sizeof(float));
  std::fill_n(ones.begin(), store.dim(), 1.0F);
  double nearest = std::numeric_limits<double>::infinity();
  std::vector<float> squares;
  for_each_piece(store, all_, buffers.energy.decoded,
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
