// SPDX-License-Identifier: Apache-2.0
// The classical associative memory [Hopfield1982]: coefficients by Hebb's rule, and the
// asynchronous update that never lets the energy rise:
//
//   W = 1/d sum_i x_i x_i^T, without its diagonal
//   E(q) = -1/2 q^T W q
//   q_k <- sign sum_j W_kj q_j, for k = 1 .. d in turn
//
// Signs that are not known are 0 until their first turn. Other rules make other W of the same sum:
// learning_rule.h.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "core/options.h"
#include "core/recall.h"
#include "primitives/hebb/learned_couplings.h"
#include "primitives/shared/surveys/item_survey.h"

namespace engram::hebb {

inline constexpr std::array kRecallOptions = {
    integer_option("STEPS", 100, 0, 10'000, "at most so many turns of all signs"),
};

/// Threads: every member beside every other.
class HebbRecaller final : public Recaller {
 public:
  /// options: of a schema that has kRecallOptions. The memory outlives the recaller.
  HebbRecaller(const Correlations& memory, const Learning& learning, const Options& options);

  Status recall(const Cue& cue, const RecallParams& params, Scratch& scratch,
                Recall& recall) const override;
  Result<double> energy(std::span<const float> state, const RecallParams& params,
                        Scratch& scratch) const override;
  Result<std::unique_ptr<Survey>> survey(const SurveyParams& params) const override;
  void adopt(const Tuning& tuning) override { surveyed_.adopt(tuning); }
  std::vector<Fact> describe() const override;

 private:
  /// Calls use(dynamics) with those of the rule. Errors: of reading the memory, and of learning.
  template <class Use>
  Status with_dynamics(const RecallParams& params, Scratch& scratch, Use&& use) const;

  const Correlations& memory_;
  const LearnedCouplings learned_;
  const std::size_t steps_;
  recall::SurveyedItems surveyed_;
};

}  // namespace engram::hebb
