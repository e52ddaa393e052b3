// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/recall.h"
#include "primitives/drdam/feature_energy.h"

namespace engram::drdam {

/// When a descent is over.
struct DescentSettings {
  std::size_t steps;
  double tolerance;
};

/// What a worker keeps between descents.
struct GradientBuffers {
  Place here;
  Place there;
  std::vector<double> gradient;
};

/// Gradient descent. A step begins at rate 1, that of mean shift, and is halved until the energy
/// falls by Armijo's measure [Nocedal2006, Alg. 3.1], so the energy never rises.
class GradientDescent {
 public:
  /// What the cue shows stays as it is, if it hides anything. Borrows all it is given.
  GradientDescent(const FeatureEnergy& energy, const DescentSettings& settings, const Cue& cue,
                  Scratch& scratch, GradientBuffers& buffers)
      : energy_(energy), settings_(settings), cue_(cue), scratch_(scratch), buffers_(buffers) {}

  /// Moves buffers.here.state, and fills in the recall's energies, steps, converged and outside.
  void run(Recall& recall);

 private:
  bool step(Recall& recall);

  const FeatureEnergy& energy_;
  const DescentSettings& settings_;
  const Cue& cue_;
  Scratch& scratch_;
  GradientBuffers& buffers_;
};

}  // namespace engram::drdam
