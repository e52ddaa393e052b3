// SPDX-License-Identifier: Apache-2.0
#include "primitives/shared/signs/sign_recall.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "core/abandonment.h"
#include "primitives/shared/rows/rows.h"
#include "primitives/shared/weights/support.h"

namespace engram::recall {
namespace {

/// Fills buffers.shares, by the number of mismatches, up to a factor. Some item has a positive one.
void share_out(const SignDynamics& dynamics, std::size_t known, SignBuffers& buffers) {
  constexpr double kNone = -std::numeric_limits<double>::infinity();
  auto& shares = buffers.shares;
  shares.assign(known + 1, kNone);
  double greatest = kNone;
  for (const std::size_t count : buffers.mismatches) {
    if (shares[count] != kNone) continue;
    shares[count] = dynamics.log_share(count, known);
    greatest = std::max(greatest, shares[count]);
  }
  if (greatest == kNone) {
    greatest = 0;
    shares[*std::min_element(buffers.mismatches.begin(), buffers.mismatches.end())] = 0;
  }
  for (double& share : shares) share = std::exp(share - greatest);
}

/// The items' weights in `state`.
Support weigh(const SignState& state, const SignDynamics& dynamics, SignBuffers& buffers) {
  const SignItems& items = buffers.items;
  auto& mismatches = buffers.mismatches;
  auto& weights = buffers.weights;
  mismatches.resize(items.count());
  weights.resize(items.count());
  for (std::size_t i = 0; i < items.count(); ++i) {
    mismatches[i] = state.mismatches(items.pattern(i));
  }
  share_out(dynamics, state.known_count(), buffers);
  for (std::size_t i = 0; i < items.count(); ++i) weights[i] = buffers.shares[mismatches[i]];
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  for (double& weight : weights) weight /= sum;
  return {items.slots(), weights};
}

void note_energy(const SignState& state, SignDynamics& dynamics, Recall& recall) {
  if (state.known_count() < state.dim()) return;
  if (const auto energy = dynamics.energy(state)) recall.energies.push_back(*energy);
}

}  // namespace

void recall_signs(const IndexContext& context, const Cue& cue, std::size_t steps, std::size_t top,
                  SignDynamics& dynamics, Scratch& scratch, SignBuffers& buffers, Recall& recall) {
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
  while (recall.steps < steps && !recall.converged && !Abandonable::is_abandoned(scratch)) {
    recall.converged = !dynamics.update(state);
    ++recall.steps;
    note_energy(state, dynamics, recall);
  }
  describe_state(weigh(state, dynamics, buffers), buffers.items.count(), top, recall);
  recall.state = state.values();
  recall.distance = distance_to(context, recall.state, recall.attractor->slot);
}

}  // namespace engram::recall
