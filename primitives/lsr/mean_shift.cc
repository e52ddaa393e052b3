// SPDX-License-Identifier: Apache-2.0
#include "primitives/lsr/mean_shift.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/abandonment.h"
#include "core/row.h"
#include "primitives/shared/rows/rows.h"
#include "primitives/shared/weights/support.h"

namespace engram::lsr {
namespace {

/// OUTSIDE expand: the nearest item is just within.
constexpr double kExpansion = 1.0001;

bool has_same_slots(const std::vector<Near>& a, const std::vector<Near>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const Near& x, const Near& y) { return x.slot == y.slot; });
}

}  // namespace

double energy_of(const std::vector<Near>& near, double radius) {
  const double least = least_handicap(near);
  double sum = 0;
  for (const Near& item : near) {
    sum += relative_strength(item, least) * (1 - item.square / (radius * radius));
  }
  if (!(sum > 0)) return std::numeric_limits<double>::infinity();
  return (least - std::log(sum)) / beta_of(radius);
}

Status MeanShift::run(const Cue& cue, std::size_t top, Recall& recall) {
  auto& near = buffers_.near;
  ENGRAM_TRY(look(near));
  recall.energies.push_back(energy_of(near, radius_));
  if (!near.empty()) {
    describe_cue(support(), recall);
  } else {
    recall.outside = true;
    ENGRAM_TRY(step_inside(recall));
  }
  if (near.empty()) {
    recall.converged = true;
  } else if (cue.visible != nullptr) {
    fill_hidden();
    recall.steps = 1;
    recall.converged = true;
  } else {
    ENGRAM_TRY(settle(recall));
  }
  describe(top, recall);
  return {};
}

/// What OUTSIDE says of a cue that no item is near enough to.
Status MeanShift::step_inside(Recall& recall) {
  const Near nearest = neighborhood_.nearest();
  if (settings_.outside == Outside::kAbstain || nearest.slot == kNoSlot) return {};
  if (settings_.outside == Outside::kExpand) {
    radius_ = std::max(kExpansion * std::sqrt(nearest.square), radius_);
    ENGRAM_TRY(look(buffers_.near));
    recall.energies = {energy_of(buffers_.near, radius_)};
    return {};
  }
  buffers_.near = {nearest};
  return {};
}

/// buffers.near is S of the state, or what it is to be replaced by.
Status MeanShift::settle(Recall& recall) {
  const std::size_t dim = memory_.context.store.dim();
  while (recall.steps < settings_.steps && !recall.converged &&
         !Abandonable::is_abandoned(scratch_)) {
    neighborhood_.average(buffers_.near);
    for (std::size_t i = 0; i < dim; ++i) {
      buffers_.state[i] = static_cast<float>(buffers_.sum[i]);
    }
    ++recall.steps;
    ENGRAM_TRY(look(buffers_.next_near));
    recall.energies.push_back(energy_of(buffers_.next_near, radius_));
    recall.converged = has_same_slots(buffers_.near, buffers_.next_near);
    std::swap(buffers_.near, buffers_.next_near);
    if (buffers_.near.empty()) break;  // rows that are damaged
  }
  return {};
}

/// A step from the visible coordinates alone: the others are the mean of what is near by those.
void MeanShift::fill_hidden() {
  neighborhood_.average(buffers_.near);
  for (std::size_t i = 0; i < memory_.context.store.dim(); ++i) {
    if (buffers_.mask[i] == 0) buffers_.state[i] = static_cast<float>(buffers_.sum[i]);
  }
}

void MeanShift::describe_mean(Recall& recall) {
  recall.mean = RecallMean{.items = items_};
  const auto& near = buffers_.near;
  if (near.empty()) return;
  neighborhood_.average(near);
  const auto end = buffers_.sum.begin() + static_cast<std::ptrdiff_t>(memory_.context.store.dim());
  recall.mean->vector.assign(buffers_.sum.begin(), end);
  const double least = least_handicap(near);
  double strengths = 0;
  for (const Near& item : near) strengths += relative_strength(item, least);
  recall.mean->log_mass = std::log(strengths) - least;
}

/// The items within the radius, weighted by their terms of the energy's sum; by their strengths if
/// there are no such terms.
recall::Support MeanShift::support() {
  auto& slots = buffers_.near_slots;
  auto& weights = buffers_.factors;
  slots.clear();
  weights.clear();
  const double least = least_handicap(buffers_.near);
  double sum = 0;
  double strengths = 0;
  for (const Near& item : buffers_.near) {
    const double strength = relative_strength(item, least);
    strengths += strength;
    slots.push_back(item.slot);
    weights.push_back(strength * std::max(0.0, 1 - item.square / (radius_ * radius_)));
    sum += weights.back();
  }
  for (std::size_t i = 0; i < weights.size(); ++i) {
    weights[i] =
        sum > 0 ? weights[i] / sum : relative_strength(buffers_.near[i], least) / strengths;
  }
  return {slots, weights};
}

void MeanShift::describe(std::size_t top, Recall& recall) {
  const VectorStore& store = memory_.context.store;
  recall.state.assign(buffers_.state.begin(),
                      buffers_.state.begin() + static_cast<std::ptrdiff_t>(store.dim()));
  recall.exact = neighborhood_.is_exact();
  recall.beta = beta_of(radius_);
  if (buffers_.near.empty()) return;
  describe_state(support(), items_, top, recall);
  if (recall.kind != RecallKind::kPattern) recall.kind = RecallKind::kEmergent;
  // Under cosine the state is no unit vector.
  recall.distance = recall::distance_to(memory_.context, recall.state, recall.attractor->slot);
}

}  // namespace engram::lsr
