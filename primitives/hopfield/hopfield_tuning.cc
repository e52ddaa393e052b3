// SPDX-License-Identifier: Apache-2.0
#include "primitives/hopfield/hopfield_tuning.h"

#include <cmath>
#include <string_view>

namespace engram::hopfield {
namespace {

struct Field {
  std::string_view name;
  double HopfieldTuning::*member;
};
constexpr Field kFields[] = {
    {"beta", &HopfieldTuning::beta},
    {"gap", &HopfieldTuning::gap},
    {"negative-gaps", &HopfieldTuning::negative_gaps},
    {"items", &HopfieldTuning::items},
    {"energy-q50", &HopfieldTuning::energy_q50},
    {"energy-q90", &HopfieldTuning::energy_q90},
    {"energy-q99", &HopfieldTuning::energy_q99},
};

}  // namespace

Tuning to_numbers(const HopfieldTuning& tuned) {
  Tuning tuning;
  for (const auto& [name, member] : kFields) tuning.emplace_back(name, tuned.*member);
  tuned.separation.append_to(tuning);
  return tuning;
}

HopfieldTuning from_numbers(const Tuning& tuning) {
  HopfieldTuning tuned;
  for (const auto& [name, number] : tuning) {
    if (!std::isfinite(number)) continue;
    for (const Field& field : kFields) {
      if (field.name == name) tuned.*field.member = number;
    }
    tuned.separation.read(name, number);
  }
  return tuned.beta > 0 && tuned.gap > 0 && tuned.items > 0 ? tuned : HopfieldTuning{};
}

bool describes(const HopfieldTuning& tuned, double beta,
               const SeparationChoice& separation) noexcept {
  return tuned.beta == beta && tuned.separation == separation;
}

double kappa(const Separation& separation) noexcept {
  const double margin = separation.margin();
  return std::isfinite(margin) && margin > 0 ? margin : 2 * std::log(100.0);
}

double beta_for(const HopfieldTuning& tuned, const Separation& separation) noexcept {
  return tuned.gap > 0 ? kappa(separation) / tuned.gap : 0;
}

}  // namespace engram::hopfield
