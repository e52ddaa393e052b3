// SPDX-License-Identifier: Apache-2.0
// How far apart the items are, and what that makes of beta.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/recall.h"
#include "core/row_algebra.h"
#include "primitives/hopfield/hopfield_descent.h"
#include "primitives/hopfield/hopfield_settings.h"
#include "primitives/shared/surveys/neighbor_gaps.h"

namespace engram::hopfield {

struct SurveySettings {
  HopfieldSettings settings;
  double beta;  ///< 0: to be found
  std::size_t sample;
  std::uint64_t seed;
  const Bias* bias;  ///< of the energies, see SurveyParams
};

/// Looks at each item of a sample twice: first for its gap to its nearest neighbour, then, when
/// beta is known, for its own weight and for the energy that the others have there.
///
/// beta = kappa / gap, gap being the 10th percentile of the gaps, see kappa().
class HopfieldSurvey final : public Survey {
 public:
  HopfieldSurvey(const MemoryView& memory, const RowAlgebra& algebra, const SurveySettings& how,
                 const recall::Items& items);

  bool step(Scratch& scratch) override;
  Result<Tuning> tuning() const override;
  std::vector<Fact> diagnosis() const override;

 private:
  Status measure_energy(Slot slot, Scratch& scratch);
  void find_beta();

  const MemoryView memory_;
  const RowAlgebra& algebra_;
  const std::unique_ptr<Separation> separation_;
  const SeparationChoice separation_choice_;
  const Bias* const bias_;
  recall::NeighborGaps sample_;
  std::size_t next_ = 0;  // of both passes, one after the other
  double beta_;
  double gap_ = 0;
  Status status_;  // what ended it early
  std::vector<double> own_weights_;
  std::vector<double> energies_;
};

}  // namespace engram::hopfield
