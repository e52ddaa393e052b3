// SPDX-License-Identifier: Apache-2.0
#include "primitives/drdam/drdam_survey.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "core/row.h"
#include "core/text.h"
#include "primitives/drdam/feature_energy.h"
#include "primitives/shared/statistics/statistics.h"

namespace engram::drdam {
DrdamSurvey::DrdamSurvey(const DrdamRecaller& recaller, const FeatureSum& memory,
                         const SlotSet& items, const SurveyParams& params)
    : recaller_(recaller),
      memory_(memory),
      params_(params),
      recalls_(recaller, memory.context().store, items, params) {}

bool DrdamSurvey::step(Scratch& scratch) {
  const std::vector<Slot>& slots = recalls_.slots();
  if (next_ < slots.size()) status_ = measure(slots[next_++], scratch);
  return recalls_.step(scratch) && status_.has_value();
}

Status DrdamSurvey::measure(Slot slot, Scratch& scratch) {
  std::vector<float> item(memory_.context().store.dim());
  memory_.context().store.read(slot, item);
  if (!check_vector(item)) return {};  // damaged
  const auto sums = recaller_.kernel_sums(item, params_.items, scratch);
  if (!sums) return tl::unexpected(sums.error());
  const auto& [estimate, exact, floor] = *sums;
  // The item is there with 1, by features as by kernels.
  const double others = energy_of(estimate - 1, floor, memory_.trace().beta());
  if (exact > 0) errors_.push_back(std::abs(estimate - exact) / exact);
  covered_.push_back(estimate > floor ? 1 : 0);
  if (std::isfinite(others)) other_energies_.push_back(others);
  noise_ = floor / FeatureEnergy::kFloor;
  return {};
}

Result<Tuning> DrdamSurvey::tuning() const {
  ENGRAM_TRY(status_);
  auto tuning = recalls_.tuning();
  if (tuning && !other_energies_.empty()) {
    tuning->emplace_back(kEnergyOfItems, recall::quantile(other_energies_, 0.99));
  }
  return tuning;
}

std::vector<Fact> DrdamSurvey::diagnosis() const {
  std::vector<Fact> facts = recalls_.diagnosis();
  const auto add = [&](std::string name, double value) {
    facts.push_back({std::move(name), number_text(value)});
  };
  if (errors_.empty()) return facts;
  add("kernel-error", recall::mean(errors_));
  add("noise", noise_);
  add("covered", recall::mean(covered_));
  return facts;
}

}  // namespace engram::drdam
