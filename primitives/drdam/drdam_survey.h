// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <vector>

#include "core/recall.h"
#include "primitives/drdam/drdam_recaller.h"
#include "primitives/shared/surveys/item_survey.h"

namespace engram::drdam {

/// An ItemSurvey that also holds the sum of features against the sum of kernels it stands for.
class DrdamSurvey final : public Survey {
 public:
  /// items: all of those to draw from. Recaller and memory outlive the survey.
  DrdamSurvey(const DrdamRecaller& recaller, const FeatureSum& memory, const SlotSet& items,
              const SurveyParams& params);

  bool step(Scratch& scratch) override;
  Result<Tuning> tuning() const override;
  std::vector<Fact> diagnosis() const override;

 private:
  Status measure(Slot slot, Scratch& scratch);

  const DrdamRecaller& recaller_;
  const FeatureSum& memory_;
  const SurveyParams params_;
  recall::ItemSurvey recalls_;
  std::size_t next_ = 0;
  Status status_;  // what ended it early
  // Of each that was measured.
  std::vector<double> errors_;          // |estimate - exact| / exact
  std::vector<double> covered_;         // 1 where the energy has a slope
  std::vector<double> other_energies_;  // at the item, of all others
  double noise_ = 0;
};

}  // namespace engram::drdam
