// SPDX-License-Identifier: Apache-2.0
#include "primitives/sdm/sdm_recaller.h"

#include <cstdint>
#include <optional>
#include <utility>

#include "core/text.h"
#include "primitives/recall/option_reading.h"
#include "primitives/recall/sign_recall.h"
#include "primitives/sdm/activation.h"
#include "primitives/sdm/sdm_survey.h"

namespace engram::sdm {
namespace {

class SdmDynamics final : public recall::SignDynamics {
 public:
  /// counters: [locations, dim]. Shares as of log_joint_activation(): shares where all signs are
  /// known, shares_at_cue where only those of the cue are.
  SdmDynamics(const HardLocations& locations, std::span<const std::int32_t> counters,
              const std::vector<double>& shares, const std::vector<double>& shares_at_cue)
      : locations_(locations),
        counters_(counters),
        shares_(shares),
        shares_at_cue_(shares_at_cue),
        sums_(counters.size() / locations.locations()) {}

  std::optional<double> energy(const recall::SignState& /*state*/) override { return std::nullopt; }

  bool update(recall::SignState& state) override {
    read(state);
    bool changed = false;
    for (std::size_t i = 0; i < sums_.size(); ++i) {
      if (!state.is_free(i)) continue;
      const int sign = state.sign(i);
      const bool is_positive = sums_[i] > 0 || (sums_[i] == 0 && sign > 0);
      if (sign == (is_positive ? 1 : -1)) continue;
      state.set(i, is_positive);
      changed = true;
    }
    return changed;
  }

  double log_share(std::size_t mismatches, std::size_t known) const override {
    return (known == sums_.size() ? shares_ : shares_at_cue_)[mismatches];
  }

  bool covers(const recall::SignState& state) const override {
    for (std::size_t i = 0; i < locations_.locations(); ++i) {
      if (locations_.is_active(i, state)) return true;
    }
    return false;
  }

 private:
  void read(const recall::SignState& state) {
    sums_.assign(sums_.size(), 0);
    for (std::size_t location = 0; location < locations_.locations(); ++location) {
      if (!locations_.is_active(location, state)) continue;
      const std::int32_t* const counters = &counters_[location * sums_.size()];
      for (std::size_t i = 0; i < sums_.size(); ++i) sums_[i] += counters[i];
    }
  }

  const HardLocations& locations_;
  const std::span<const std::int32_t> counters_;
  const std::vector<double>& shares_;
  const std::vector<double>& shares_at_cue_;
  std::vector<std::int64_t> sums_;  // [dim]
};

/// What a worker keeps between recalls: masks tend to come again, and their shares take longer than
/// a recall.
struct MaskedShares {
  std::size_t known = 0;
  std::size_t dim = 0;
  std::size_t radius = 0;
  std::vector<double> shares;
};

std::size_t visible_count(const Cue& cue) {
  std::size_t count = 0;
  for (const CoordinateRange& range : *cue.visible) count += range.end - range.begin;
  return count;
}

std::size_t read_steps(const Options& options, std::size_t steps) {
  recall::read_count(options, "STEPS", steps);
  return steps;
}

}  // namespace

SdmRecaller::SdmRecaller(const Memory& memory, const Options& options)
    : memory_(memory),
      steps_(static_cast<std::size_t>(options.integer("STEPS"))),
      shares_(log_joint_activation(memory.context().store.dim(), 0, memory.trace().radius())) {}

Status SdmRecaller::recall(const Cue& cue, const RecallParams& params, Scratch& scratch,
                           Recall& recall) const {
  const std::size_t steps =
      params.options == nullptr ? steps_ : read_steps(*params.options, steps_);
  const IndexContext& context = memory_.context();
  const std::vector<double>& shares_at_cue = shares_at(cue, scratch);
  return memory_.with_sum(
      params.items, scratch,
      [&](std::span<const std::int32_t> counters, const SlotSet& items) -> Status {
        auto& buffers = scratch.get<recall::SignBuffers>();
        buffers.items.read(context.store, items);
        SdmDynamics dynamics(memory_.trace(), counters, shares_, shares_at_cue);
        recall_signs(context, cue, steps, params.top, dynamics, buffers, recall);
        return {};
      });
}

/// log_joint_activation() at the cue; it may lie in `scratch`.
const std::vector<double>& SdmRecaller::shares_at(const Cue& cue, Scratch& scratch) const {
  if (cue.visible == nullptr) return shares_;
  const std::size_t known = visible_count(cue);
  const std::size_t dim = memory_.context().store.dim();
  const std::size_t radius = memory_.trace().radius();
  auto& masked = scratch.get<MaskedShares>();
  if (masked.known != known || masked.dim != dim || masked.radius != radius) {
    masked = {known, dim, radius, log_joint_activation(known, dim - known, radius)};
  }
  return masked.shares;
}

Result<double> SdmRecaller::energy(std::span<const float> /*state*/, const RecallParams& /*params*/,
                                   Scratch& /*scratch*/) const {
  return fail(ErrorCode::kUnsupported,
              "a sparse distributed memory has no energy: its readings do not descend on one");
}

Result<std::unique_ptr<Survey>> SdmRecaller::survey(const SurveyParams& params) const {
  return std::make_unique<SdmSurvey>(*this, memory_, params);
}

std::vector<Fact> SdmRecaller::describe() const {
  const std::size_t items = memory_.held().size();
  const auto locations = static_cast<double>(memory_.trace().locations());
  std::vector<Fact> facts = {{"load", number_text(static_cast<double>(items) / locations)}};
  for (Fact& fact : surveyed_.describe(items)) facts.push_back(std::move(fact));
  return facts;
}

}  // namespace engram::sdm
