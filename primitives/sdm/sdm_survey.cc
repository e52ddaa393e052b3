// SPDX-License-Identifier: Apache-2.0
#include "primitives/sdm/sdm_survey.h"

#include "core/text.h"
#include "primitives/shared/signs/signs.h"
#include "primitives/shared/statistics/statistics.h"

namespace engram::sdm {

SdmSurvey::SdmSurvey(const SdmRecaller& recaller, const Counters& memory,
                     const SurveyParams& params)
    : memory_(memory),
      items_(recaller, memory.context().store, memory.among(params.items), params) {}

bool SdmSurvey::step(Scratch& scratch) {
  const std::vector<Slot>& slots = items_.slots();
  if (activated_.size() < slots.size()) {
    activated_.push_back(activated_by(slots[activated_.size()]));
  }
  return items_.step(scratch);
}

double SdmSurvey::activated_by(Slot slot) const {
  const VectorStore& store = memory_.context().store;
  const auto* const row = reinterpret_cast<const float*>(store.row(slot));
  const recall::SignState item({.vector = {row, store.dim()}}, store.dim());
  const HardLocations& locations = memory_.trace();
  double count = 0;
  for (std::size_t i = 0; i < locations.locations(); ++i) count += locations.is_active(i, item);
  return count;
}

std::vector<Fact> SdmSurvey::diagnosis() const {
  std::vector<Fact> facts = items_.diagnosis();
  if (activated_.empty()) return facts;
  facts.push_back({"activated", number_text(recall::mean(activated_))});
  facts.push_back({"activated-p10", number_text(recall::quantile(activated_, 0.1))});
  return facts;
}

}  // namespace engram::sdm
