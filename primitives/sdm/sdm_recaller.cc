// SPDX-License-Identifier: Apache-2.0
#include "primitives/sdm/sdm_recaller.h"

#include <cstdint>
#include <optional>
#include <utility>

#include "core/option_reading.h"
#include "core/text.h"
#include "primitives/sdm/activation.h"
#include "primitives/sdm/sdm_survey.h"
#include "primitives/shared/signs/sign_recall.h"

namespace engram::sdm {
namespace {

class SdmDynamics final : public recall::SignDynamics {
 public:
  /// counters: of [locations, dim]. Shares as of log_joint_activation(): shares where all signs are
  /// known, shares_at_cue where only those of the cue are.
  SdmDynamics(const HardLocations& locations, Counters::View counters,
              const std::vector<double>& shares, const std::vector<double>& shares_at_cue)
      : locations_(locations),
        counters_(std::move(counters)),
        shares_(shares),
        shares_at_cue_(shares_at_cue),
        sums_(locations.count() / locations.locations()) {}

  /// Of reading the memory; after an error states are of no use.
  const Status& status() const noexcept { return status_; }

  std::optional<double> energy(const recall::SignState& /*state*/) override { return std::nullopt; }

  bool update(recall::SignState& state) override {
    if (status_) status_ = read(state);
    if (!status_) return false;
    bool changed = false;
    for (std::size_t i = 0; i < sums_.size(); ++i) {
      if (!state.is_free(i)) continue;
      const int sign = state.sign_in(i, sums_[i]);
      if (sign == state.sign(i)) continue;
      state.set(i, sign > 0);
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
  Status read(const recall::SignState& state) {
    std::vector<std::size_t> active;
    for (std::size_t location = 0; location < locations_.locations(); ++location) {
      if (locations_.is_active(location, state)) active.push_back(location);
    }
    sums_.assign(sums_.size(), 0);
    return counters_.read([&](std::span<const std::int32_t> all) {
      for (const std::size_t location : active) {
        const std::int32_t* const counters = &all[location * sums_.size()];
        for (std::size_t i = 0; i < sums_.size(); ++i) sums_[i] += counters[i];
      }
    });
  }

  const HardLocations& locations_;
  Counters::View counters_;
  const std::vector<double>& shares_;
  const std::vector<double>& shares_at_cue_;
  std::vector<std::int64_t> sums_;  // [dim]
  Status status_;
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

}  // namespace

SdmRecaller::SdmRecaller(const Counters& memory, const Options& options)
    : memory_(memory),
      steps_(static_cast<std::size_t>(options.integer("STEPS"))),
      shares_(log_joint_activation(memory.context().store.dim(), 0, memory.trace().radius())) {}

Status SdmRecaller::recall(const Cue& cue, const RecallParams& params, Scratch& scratch,
                           Recall& recall) const {
  const IndexContext& context = memory_.context();
  auto& buffers = scratch.get<recall::SignBuffers>();
  buffers.items.read(context.store, memory_.among(params.items));
  SdmDynamics dynamics(memory_.trace(), {memory_, params.items, scratch}, shares_,
                       shares_at(cue, scratch));
  recall_signs(context, cue, steps_of(params, steps_), params.top, dynamics, scratch, buffers,
               recall);
  return dynamics.status();
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
