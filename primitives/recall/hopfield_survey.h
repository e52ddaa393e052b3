// SPDX-License-Identifier: Apache-2.0
// How far apart the items are, and what that makes of beta.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/recall.h"
#include "core/row_algebra.h"
#include "primitives/recall/descent.h"
#include "primitives/recall/gaps.h"
#include "primitives/recall/settings.h"

namespace engram::recall {

struct SurveySettings {
  Settings settings;
  double beta;  ///< 0: to be found
  std::size_t sample;
  std::uint64_t seed;
};

/// Looks at each item of a sample twice: first for what separates it from its nearest neighbour,
/// then, when beta is known, for its own weight and for the energy that the others have there.
///
/// beta = kappa / gap, gap being the 10th percentile of the separations: 2 ln 100 for softmax, so
/// that a pair of items so far apart has a weight of 0.99 at either, and the margin of the
/// separations that have one. sim(x, x) - sim(x, y) is what separates x from y.
class HopfieldSurvey final : public Survey {
 public:
  HopfieldSurvey(const Memory& memory, const RowAlgebra& algebra, const SurveySettings& how,
                 const Items& items);

  bool step(Scratch& scratch) override;
  Result<Tuning> tuning() const override;
  std::vector<Fact> diagnosis() const override;

 private:
  Status measure_energy(Slot slot, Scratch& scratch);
  void find_beta();

  const Memory memory_;
  const RowAlgebra& algebra_;
  const SurveySettings how_;
  GapSample sample_;
  std::size_t next_ = 0;  // of both passes, one after the other
  double beta_;
  double gap_ = 0;
  Status status_;  // what ended it early
  std::vector<double> own_weights_;
  std::vector<double> energies_;
};

}  // namespace engram::recall
