// SPDX-License-Identifier: Apache-2.0
#include "primitives/hopfield/hopfield_recaller.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "core/row.h"
#include "core/text.h"
#include "primitives/hopfield/hopfield_survey.h"
#include "primitives/hopfield/hopfield_tuning.h"
#include "primitives/shared/statistics/statistics.h"

namespace engram::hopfield {

Result<std::unique_ptr<HopfieldRecaller>> HopfieldRecaller::create(
    const MemoryView& memory, const HopfieldSettings& defaults) {
  const auto& [store, kernel] = memory.context;
  // If there is no beta yet, it may still come: from VTUNE, or with the command.
  if (defaults.noise > 0 || defaults.beta > 0) {
    ENGRAM_TRY(resolve_beta(defaults, store.metric(), 0));
  }
  auto algebra = make_row_algebra(kernel.name(), store.dim());
  if (!algebra) return tl::unexpected(std::move(algebra.error()));
  return std::unique_ptr<HopfieldRecaller>(
      new HopfieldRecaller(memory, defaults, std::move(*algebra)));
}

HopfieldSettings HopfieldRecaller::settings(const Options* options) const {
  return options == nullptr ? defaults_ : read_settings(*options, defaults_);
}

Result<double> HopfieldRecaller::beta(const HopfieldSettings& settings) const {
  return resolve_beta(settings, memory_.context.store.metric(),
                      beta_for(tuned(), *settings.separation.make()));
}

HopfieldTuning HopfieldRecaller::tuned() const {
  const std::lock_guard lock(mutex_);
  return tuned_;
}

Status HopfieldRecaller::check(const Cue& cue, const HopfieldSettings& settings) const {
  const bool is_masked = cue.visible != nullptr;
  if (settings.mode == Mode::kClamp && is_masked &&
      memory_.context.store.metric() == Metric::kCosine) {
    return fail(ErrorCode::kInvalidArgument,
                "MODE clamp cannot hold coordinates of unit vectors fast, it needs METRIC l2 or "
                "dot");
  }
  return recall::check_candidates(memory_, settings.candidates, is_masked);
}

/// The row of what is visible of a cue, in buffers.state; what is hidden, which may be anything, is
/// zero.
const float* HopfieldRecaller::encode_state(const Cue& cue, HopfieldBuffers& buffers) const {
  const VectorStore& store = memory_.context.store;
  std::byte* const row = buffers.state.reserve(query_bytes(store.dim()));
  std::vector<float> visible;
  if (cue.visible != nullptr) {
    visible.resize(store.dim());
    for (const auto& [begin, end] : *cue.visible) {
      std::copy(cue.vector.begin() + static_cast<std::ptrdiff_t>(begin),
                cue.vector.begin() + static_cast<std::ptrdiff_t>(end),
                visible.begin() + static_cast<std::ptrdiff_t>(begin));
    }
  }
  encode_row(store.metric(), cue.visible == nullptr ? cue.vector : visible, row);
  return reinterpret_cast<const float*>(row);
}

Status HopfieldRecaller::recall(const Cue& cue, const RecallParams& params, Scratch& scratch,
                                Recall& recall) const {
  const HopfieldSettings settings = this->settings(params.options);
  const auto beta = this->beta(settings);
  if (!beta) return tl::unexpected(beta.error());
  ENGRAM_TRY(check(cue, settings));

  const recall::Items items = recall::items_of(memory_, params.items, settings.candidates);
  recall = Recall{};
  recall.beta = *beta;
  const bool gives_mean = params.wants_mean && settings.separation == SeparationChoice();
  if (items.count == 0) {
    recall.state.assign(cue.vector.begin(), cue.vector.end());
    recall.converged = true;
    if (gives_mean) recall.mean.emplace();
    return {};
  }
  auto& buffers = scratch.get<HopfieldBuffers>();
  encode_state(cue, buffers);
  const auto separation = settings.separation.make();
  const HopfieldEnergy energy(memory_.context, *algebra_, *beta, *separation, params.bias);
  HopfieldDescent descent(memory_.context, energy, settings, items, scratch, buffers);
  ENGRAM_TRY(descent.run(cue, params.top, recall));
  if (gives_mean) descent.describe_mean(cue, recall);
  const HopfieldTuning tuned = this->tuned();
  if (cue.visible == nullptr && !recall.energies.empty() &&
      describes(tuned, *beta, settings.separation)) {
    recall.novel = recall.energies.front() > tuned.energy_q99;
  }
  return {};
}

Result<double> HopfieldRecaller::energy(std::span<const float> state, const RecallParams& params,
                                        Scratch& scratch) const {
  const HopfieldSettings settings = this->settings(params.options);
  const auto beta = this->beta(settings);
  if (!beta) return tl::unexpected(beta.error());
  auto& buffers = scratch.get<HopfieldBuffers>();
  auto& slots = buffers.candidates;
  recall::items_of(memory_, params.items, settings.candidates).among->list(slots);
  constexpr double kNowhere = std::numeric_limits<double>::infinity();
  if (slots.empty()) return kNowhere;
  const float* const row = encode_state({.vector = state}, buffers);
  const auto separation = settings.separation.make();
  const HopfieldEnergy energy(memory_.context, *algebra_, *beta, *separation, params.bias);
  const bool weighs = energy.weigh(row, slots, buffers.energy, buffers.weighing);
  return weighs ? buffers.weighing.energy : kNowhere;
}

Result<std::unique_ptr<Survey>> HopfieldRecaller::survey(const SurveyParams& params) const {
  SurveySettings how{.settings = settings(params.options),
                     .beta = 0,
                     .sample = params.sample,
                     .seed = params.seed,
                     .bias = params.bias};
  if (!params.tunes) {
    const auto beta = this->beta(how.settings);
    if (!beta) return tl::unexpected(beta.error());
    how.beta = *beta;
  }
  const recall::Items items = recall::items_of(memory_, params.items, how.settings.candidates);
  return std::make_unique<HopfieldSurvey>(memory_, *algebra_, how, items);
}

void HopfieldRecaller::adopt(const Tuning& tuning) {
  const HopfieldTuning tuned = from_numbers(tuning);
  const std::lock_guard lock(mutex_);
  tuned_ = tuned;
}

double HopfieldRecaller::beta() const {
  return this->beta(defaults_).value_or(0);
}

std::vector<Fact> HopfieldRecaller::describe() const {
  const HopfieldTuning tuned = this->tuned();
  std::vector<Fact> facts;
  if (const auto beta = this->beta(defaults_)) {
    const bool is_given = defaults_.beta > 0 || defaults_.noise > 0;
    facts.push_back({"beta", number_text(*beta)});
    facts.push_back({"beta-from", is_given ? "option" : tuned.beta > 0 ? "vtune" : "default"});
  } else {
    facts.push_back({"beta-from", "none"});
  }
  if (!(tuned.beta > 0)) return facts;
  facts.push_back({"gap", number_text(tuned.gap)});
  facts.push_back({"negative-gaps", number_text(tuned.negative_gaps)});
  facts.push_back({"energy-q50", number_text(tuned.energy_q50)});
  facts.push_back({"energy-q90", number_text(tuned.energy_q90)});
  facts.push_back({"energy-q99", number_text(tuned.energy_q99)});
  facts.push_back({"stale", recall::is_stale(tuned.items, memory_.held.size()) ? "1" : "0"});
  return facts;
}

}  // namespace engram::hopfield
