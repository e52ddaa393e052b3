// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <vector>

#include "core/recall.h"
#include "primitives/sdm/sdm_recaller.h"
#include "primitives/shared/surveys/item_survey.h"

namespace engram::sdm {

/// Recalls by each item of a sample, and counts the locations that they activate: items that are
/// written to few are lost first, and how many they are is only known on average before.
class SdmSurvey final : public Survey {
 public:
  /// The recaller and its memory outlive the survey.
  SdmSurvey(const SdmRecaller& recaller, const Counters& memory, const SurveyParams& params);

  bool step(Scratch& scratch) override;
  Result<Tuning> tuning() const override { return items_.tuning(); }
  std::vector<Fact> diagnosis() const override;

 private:
  double activated_by(Slot slot) const;

  const Counters& memory_;
  recall::ItemSurvey items_;
  std::vector<double> activated_;  // by each item so far
};

}  // namespace engram::sdm
