// SPDX-License-Identifier: Apache-2.0
#include "primitives/lsr/lsr_survey.h"

#include <cmath>
#include <string>
#include <utility>

#include "core/text.h"
#include "primitives/shared/statistics/statistics.h"

namespace engram::lsr {

bool LsrSurvey::step(Scratch& scratch) {
  const auto& slots = sample_.slots();
  if (next_ < slots.size()) status_ = sample_.measure(slots[next_], candidates_, scratch);
  return ++next_ < slots.size() && status_.has_value();
}

Result<Tuning> LsrSurvey::tuning() const {
  ENGRAM_TRY(status_);
  double gap = recall::scale_of(sample_.halved_squares());
  if (gap == 0) gap = recall::scale_of(sample_.gaps_to_others());
  if (!(gap > 0)) {
    return fail(ErrorCode::kInvalidArgument,
                "there must be two items at least that differ, to tell how far apart they are");
  }
  return Tuning{{"radius", std::sqrt(2 * gap)},
                {"gap", gap},
                {"items", static_cast<double>(sample_.all().size())}};
}

std::vector<Fact> LsrSurvey::diagnosis() const {
  std::vector<Fact> facts;
  const auto add = [&](std::string name, double value) {
    facts.push_back({std::move(name), number_text(value)});
  };
  add("items", static_cast<double>(sample_.all().size()));
  add("sample", static_cast<double>(sample_.slots().size()));
  add("radius", radius_);
  std::vector<double> distances;
  for (const double half : sample_.halved_squares()) distances.push_back(std::sqrt(2 * half));
  if (distances.empty()) return facts;
  add("distance-least", recall::quantile(distances, 0));
  add("distance-p10", recall::quantile(distances, 0.1));
  add("distance-median", recall::quantile(distances, 0.5));
  // An item is preserved if and only if no other is within the radius.
  add("preserved",
      recall::share_of(distances, [this](double distance) { return distance >= radius_; }));
  return facts;
}

}  // namespace engram::lsr
