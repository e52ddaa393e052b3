// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <vector>

#include "core/options.h"
#include "core/recall.h"
#include "primitives/palimpsest/palimpsest_memory.h"
#include "primitives/shared/surveys/item_survey.h"

namespace engram::palimpsest {

inline constexpr std::array kRecallOptions = {
    integer_option("STEPS", 100, 0, 10'000, "at most so many turns of all signs"),
};

/// Threads: every member beside every other.
class PalimpsestRecaller final : public Recaller {
 public:
  /// options: of a schema that has kRecallOptions. The memory outlives the recaller.
  PalimpsestRecaller(const Memory& memory, const Options& options)
      : memory_(memory), steps_(static_cast<std::size_t>(options.integer("STEPS"))) {}

  Status recall(const Cue& cue, const RecallParams& params, Scratch& scratch,
                Recall& recall) const override;
  Result<double> energy(std::span<const float> state, const RecallParams& params,
                        Scratch& scratch) const override;
  Result<std::unique_ptr<Survey>> survey(const SurveyParams& params) const override;
  void adopt(const Tuning& tuning) override { surveyed_.adopt(tuning); }
  std::vector<Fact> describe() const override { return surveyed_.describe(memory_.held().size()); }

 private:
  const Memory& memory_;
  const std::size_t steps_;
  recall::SurveyedItems surveyed_;
};

}  // namespace engram::palimpsest
