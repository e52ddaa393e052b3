// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "core/options.h"
#include "core/recall.h"
#include "primitives/dam/dense_dynamics.h"
#include "primitives/shared/candidates/candidates.h"
#include "primitives/shared/surveys/item_survey.h"

namespace engram::dam {

struct DamSettings {
  Interaction interaction;
  std::size_t steps = 100;
};

inline constexpr std::array kRecallOptions = {
    choice_option("SHAPE", "exp", kShapeNames, "F in the energy: z^n, [z]+^n, or exp(z)"),
    integer_option("POWER", 3, 2, 100, "n, of SHAPE power and rectified"),
    integer_option("STEPS", 100, 0, 10'000, "at most so many turns of all signs"),
};

/// `settings` with what `options`, whose schema has kRecallOptions, gives.
DamSettings read_settings(const Options& options, DamSettings settings);

/// Threads: every member beside every other.
class DamRecaller final : public Recaller {
 public:
  /// defaults: where a command does not say.
  DamRecaller(const MemoryView& memory, const DamSettings& defaults)
      : memory_(memory), defaults_(defaults) {}

  Status recall(const Cue& cue, const RecallParams& params, Scratch& scratch,
                Recall& recall) const override;
  Result<double> energy(std::span<const float> state, const RecallParams& params,
                        Scratch& scratch) const override;
  Result<std::unique_ptr<Survey>> survey(const SurveyParams& params) const override;
  void adopt(const Tuning& tuning) override { surveyed_.adopt(tuning); }
  std::vector<Fact> describe() const override;

 private:
  DamSettings settings(const Options* options) const;
  const SlotSet& items(const SlotSet* among) const;

  const MemoryView memory_;
  const DamSettings defaults_;
  recall::SurveyedItems surveyed_;
};

}  // namespace engram::dam
