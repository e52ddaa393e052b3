// SPDX-License-Identifier: Apache-2.0
// Reading from a sparse distributed memory [Kanerva1988]. The counters of all locations that a
// state activates are added up, and the signs of the sums are the next state, which is the next
// address:
//
//   q <- sign sum_{m: distance(q, address_m) <= radius} counters_m
//
// until it no longer changes. An item's weight in a reading is the number of locations that it
// activates as the state does, which falls about exponentially with their distance [Bricken2021].
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "core/options.h"
#include "core/recall.h"
#include "primitives/sdm/hard_locations.h"
#include "primitives/shared/superposed/superposed_memory.h"
#include "primitives/shared/surveys/item_survey.h"

namespace engram::sdm {

using Counters = recall::SuperposedMemory<HardLocations>;

inline constexpr OptionSpec kStepsOption =
    integer_option("STEPS", 30, 0, 10'000, "at most so many readings, each where the last one led");
inline constexpr std::array kRecallOptions = {kStepsOption};

/// Threads: every member beside every other.
class SdmRecaller final : public Recaller {
 public:
  /// options: of a schema that has kRecallOptions. The memory outlives the recaller.
  SdmRecaller(const Counters& memory, const Options& options);

  Status recall(const Cue& cue, const RecallParams& params, Scratch& scratch,
                Recall& recall) const override;
  /// Errors: kUnsupported. Synchronous readings need not descend on anything, they may even cycle.
  Result<double> energy(std::span<const float> state, const RecallParams& params,
                        Scratch& scratch) const override;
  Result<std::unique_ptr<Survey>> survey(const SurveyParams& params) const override;
  void adopt(const Tuning& tuning) override { surveyed_.adopt(tuning); }
  std::vector<Fact> describe() const override;

 private:
  const std::vector<double>& shares_at(const Cue& cue, Scratch& scratch) const;

  const Counters& memory_;
  const std::size_t steps_;
  const std::vector<double> shares_;  // log_joint_activation() where all signs are known
  recall::SurveyedItems surveyed_;
};

}  // namespace engram::sdm
