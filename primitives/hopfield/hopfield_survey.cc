// SPDX-License-Identifier: Apache-2.0
#include "primitives/hopfield/hopfield_survey.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "core/text.h"
#include "primitives/hopfield/hopfield_tuning.h"
#include "primitives/shared/statistics/statistics.h"

namespace engram::hopfield {
namespace {

/// Of a graph, where there is one: enough that near the beta that is found an energy lacks next to
/// nothing. Where a diagnosis is asked for a warmer one, it is of the nearest items only.
constexpr std::size_t kCandidates = 256;

}  // namespace

HopfieldSurvey::HopfieldSurvey(const MemoryView& memory, const RowAlgebra& algebra,
                               const SurveySettings& how, const recall::Items& items)
    : memory_(memory),
      algebra_(algebra),
      separation_(how.settings.separation.make()),
      separation_choice_(how.settings.separation),
      bias_(how.bias),
      sample_(memory, algebra, items, how.sample, how.seed),
      beta_(how.beta) {}

bool HopfieldSurvey::step(Scratch& scratch) {
  const auto& slots = sample_.slots();
  const std::size_t count = slots.size();
  if (next_ < count) {
    status_ = sample_.measure(slots[next_], kCandidates, scratch);
  } else if (next_ < 2 * count) {
    if (next_ == count && beta_ == 0) find_beta();
    if (beta_ == 0) return false;
    status_ = measure_energy(slots[next_ - count], scratch);
  }
  return ++next_ < 2 * count && status_.has_value();
}

void HopfieldSurvey::find_beta() {
  gap_ = recall::scale_of(sample_.gaps());
  if (gap_ == 0) gap_ = recall::scale_of(sample_.halved_squares());
  if (gap_ == 0) gap_ = recall::scale_of(sample_.gaps_to_others());  // nearly all have copies
  if (gap_ > 0) beta_ = kappa(*separation_) / gap_;
}

Status HopfieldSurvey::measure_energy(Slot slot, Scratch& scratch) {
  auto& buffers = scratch.get<HopfieldBuffers>();
  const float* const state = sample_.row(slot, buffers.own_row);
  const HopfieldEnergy energy(memory_.context, algebra_, beta_, *separation_, bias_);
  auto& slots = buffers.candidates;
  if (sample_.graph() == nullptr) {
    slots = sample_.all();
  } else {
    const Query query{reinterpret_cast<const std::byte*>(state)};
    ENGRAM_TRY(sample_.graph()->search(query,
                                       {.k = kCandidates,
                                        .ef = 2 * kCandidates,
                                        .bias = energy.score_bias(),
                                        .items = sample_.filter()},
                                       scratch, buffers.hits));
    slots.clear();
    for (const Hit& hit : buffers.hits) slots.push_back(hit.slot);
    std::sort(slots.begin(), slots.end());
  }
  const auto own = std::lower_bound(slots.begin(), slots.end(), slot);
  const auto place = static_cast<std::size_t>(own - slots.begin());
  const bool is_there = own != slots.end() && *own == slot;
  if (is_there && energy.weigh(state, slots, buffers.energy, buffers.weighing)) {
    own_weights_.push_back(buffers.weighing.weights[place]);
  }
  if (is_there) slots.erase(own);
  if (!slots.empty() && energy.weigh(state, slots, buffers.energy, buffers.weighing)) {
    energies_.push_back(buffers.weighing.energy);
  }
  return {};
}

Result<Tuning> HopfieldSurvey::tuning() const {
  ENGRAM_TRY(status_);
  if (beta_ == 0 || energies_.empty()) {
    return fail(ErrorCode::kInvalidArgument,
                sample_.slots().empty()
                    ? "there must be two items at least to tell how far apart they are"
                    : "no two items of the sample differ, so no beta tells them apart");
  }
  return to_numbers(
      {.beta = beta_,
       .gap = gap_,
       .negative_gaps = recall::share_of(sample_.gaps(), [](double gap) { return gap < 0; }),
       .items = static_cast<double>(sample_.all().size()),
       .energy_q50 = recall::quantile(energies_, 0.5),
       .energy_q90 = recall::quantile(energies_, 0.9),
       .energy_q99 = recall::quantile(energies_, 0.99),
       .separation = separation_choice_});
}

std::vector<Fact> HopfieldSurvey::diagnosis() const {
  std::vector<Fact> facts;
  const auto add = [&](std::string name, double value) {
    facts.push_back({std::move(name), number_text(value)});
  };
  add("items", static_cast<double>(sample_.all().size()));
  add("sample", static_cast<double>(sample_.slots().size()));
  add("beta", beta_);
  if (sample_.gaps().empty() || energies_.empty() || own_weights_.empty()) return facts;
  add("gap-least", recall::quantile(sample_.gaps(), 0));
  add("gap-p10", recall::quantile(sample_.gaps(), 0.1));
  add("gap-median", recall::quantile(sample_.gaps(), 0.5));
  add("negative-gaps", recall::share_of(sample_.gaps(), [](double gap) { return gap < 0; }));
  add("duplicates", recall::share_of(sample_.gaps(), [](double gap) { return gap == 0; }));
  add("own-weight-median", recall::quantile(own_weights_, 0.5));
  add("own-weight-099",
      recall::share_of(own_weights_, [](double weight) { return weight >= 0.99; }));
  add("energy-q50", recall::quantile(energies_, 0.5));
  add("energy-q90", recall::quantile(energies_, 0.9));
  add("energy-q99", recall::quantile(energies_, 0.99));
  // Every cue within r of an item returns it in one step: min over j of (gap - m / beta) / distance
  // (Santos et al. 2024, prop. 3), which the nearest neighbour decides where gap = distance^2 / 2.
  const double margin = separation_->margin();
  if (!std::isfinite(margin) || memory_.context.store.metric() == Metric::kDot) return facts;
  std::vector<double> radii;
  for (const double gap : sample_.gaps()) {
    radii.push_back(gap > 0 ? std::max(0.0, (gap - margin / beta_) / std::sqrt(2 * gap)) : 0);
  }
  add("exact-radius-p10", recall::quantile(radii, 0.1));
  add("exact-radius-median", recall::quantile(radii, 0.5));
  return facts;
}

}  // namespace engram::hopfield
