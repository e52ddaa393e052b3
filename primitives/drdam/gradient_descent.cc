// SPDX-License-Identifier: Apache-2.0
#include "primitives/drdam/gradient_descent.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/abandonment.h"

namespace engram::drdam {
namespace {

/// The share of the fall that the slope promises which a step has to bring.
constexpr double kArmijo = 1e-4;
/// A rate below which no energy is told from another.
constexpr double kLeastRate = 0x1p-40;

double norm(const std::vector<double>& values) {
  double squares = 0;
  for (const double value : values) squares += value * value;
  return std::sqrt(squares);
}

}  // namespace

void GradientDescent::run(Recall& recall) {
  Place& here = buffers_.here;
  energy_.look(here);
  recall.energies.push_back(here.energy);
  recall.outside = !energy_.covers(here);
  recall.converged = recall.outside;
  while (!recall.converged && recall.steps < settings_.steps &&
         !Abandonable::is_abandoned(scratch_)) {
    energy_.gradient(here, buffers_.gradient);
    if (cue_.visible != nullptr) {
      for (const auto& [begin, end] : *cue_.visible) {
        std::fill_n(&buffers_.gradient[begin], end - begin, 0.0);
      }
    }
    recall.converged = !step(recall);
  }
}

/// False: it was shorter than the tolerance, or none of that length leads down.
bool GradientDescent::step(Recall& recall) {
  auto& [here, there, gradient] = buffers_;
  const double steepness = norm(gradient);
  const double short_step = settings_.tolerance * std::max(1.0, norm(here.state));
  there.state.resize(here.state.size());
  for (double rate = 1; rate >= kLeastRate; rate /= 2) {
    for (std::size_t i = 0; i < gradient.size(); ++i) {
      there.state[i] = here.state[i] - rate * gradient[i];
    }
    energy_.look(there);
    const bool is_short = rate * steepness <= short_step;
    if (there.energy <= here.energy - kArmijo * rate * steepness * steepness) {
      std::swap(here, there);
      recall.energies.push_back(here.energy);
      ++recall.steps;
      return !is_short;
    }
    if (is_short) return false;
  }
  return false;
}

}  // namespace engram::drdam
