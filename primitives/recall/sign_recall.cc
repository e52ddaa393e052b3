// SPDX-License-Identifier: Apache-2.0
#include "primitives/recall/sign_recall.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "primitives/recall/rows.h"
#include "primitives/recall/support.h"

namespace engram::recall {
namespace {

/// The items' weights in `state`.
Support weigh(const SignState& state, const SignDynamics& dynamics, SignBuffers& buffers) {
  const SignItems& items = buffers.items;
  auto& mismatches = buffers.mismatches;
  auto& weights = buffers.weights;
  mismatches.resize(items.count());
  weights.resize(items.count());
  double greatest = -std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < items.count(); ++i) {
    mismatches[i] = state.mismatches(items.pattern(i));
    weights[i] = dynamics.log_share(mismatches[i], state.known_count());
    greatest = std::max(greatest, weights[i]);
  }
  if (std::isinf(greatest)) {
    const auto nearest = std::min_element(mismatches.begin(), mismatches.end());
    std::fill(weights.begin(), weights.end(), 0.0);
    weights[static_cast<std::size_t>(nearest - mismatches.begin())] = 1;
    return {items.slots(), weights};
  }
  double sum = 0;
  for (double& weight : weights) {
    weight = std::exp(weight - greatest);
    sum += weight;
  }
  for (double& weight : weights) weight /= sum;
  return {items.slots(), weights};
}

void note_energy(const SignState& state, const SignDynamics& dynamics, Recall& recall) {
  if (const auto energy = dynamics.energy(state)) recall.energies.push_back(*energy);
}

}  // namespace

void recall_signs(const IndexContext& context, const Cue& cue, std::size_t steps, std::size_t top,
                  SignDynamics& dynamics, SignBuffers& buffers, Recall& recall) {
  recall = Recall{};
  if (buffers.items.count() == 0) {
    recall.state.assign(cue.vector.begin(), cue.vector.end());
    recall.converged = true;
    return;
  }
  SignState state(cue, context.store.dim());
  note_energy(state, dynamics, recall);
  recall.outside = !dynamics.covers(state);
  describe_cue(weigh(state, dynamics, buffers), recall);
  while (recall.steps < steps && !recall.converged) {
    recall.converged = !dynamics.update(state);
    ++recall.steps;
    note_energy(state, dynamics, recall);
  }
  describe_state(weigh(state, dynamics, buffers), buffers.items.count(), top, recall);
  recall.state = state.values();
  recall.distance = distance_to(context, recall.state, recall.attractor->slot);
}

}  // namespace engram::recall
