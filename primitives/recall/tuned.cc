// SPDX-License-Identifier: Apache-2.0
#include "primitives/recall/tuned.h"

#include <cmath>
#include <iterator>
#include <string_view>

namespace engram::recall {
namespace {

/// The separation by its place in the enumeration, which is never to be renumbered.
constexpr std::string_view kSeparation = "separation";
constexpr std::string_view kAlpha = "alpha";
constexpr std::string_view kTopK = "topk";

struct Field {
  std::string_view name;
  double Tuned::*member;
};
constexpr Field kFields[] = {
    {"beta", &Tuned::beta},
    {"gap", &Tuned::gap},
    {"negative-gaps", &Tuned::negative_gaps},
    {"items", &Tuned::items},
    {"energy-q50", &Tuned::energy_q50},
    {"energy-q90", &Tuned::energy_q90},
    {"energy-q99", &Tuned::energy_q99},
};

void read_separation(std::string_view name, double number, SeparationRule& rule) {
  if (name == kSeparation && number >= 0 && number < std::size(kSeparationNames)) {
    rule.kind = static_cast<Separation>(number);
  }
  if (name == kAlpha) rule.alpha = number;
  if (name == kTopK && number >= 1 && number <= 1e9) rule.k = static_cast<std::size_t>(number);
}

}  // namespace

Tuning to_numbers(const Tuned& tuned) {
  Tuning tuning;
  for (const auto& [name, member] : kFields) tuning.emplace_back(name, tuned.*member);
  tuning.emplace_back(kSeparation, static_cast<double>(tuned.separation.kind));
  tuning.emplace_back(kAlpha, tuned.separation.alpha);
  tuning.emplace_back(kTopK, static_cast<double>(tuned.separation.k));
  return tuning;
}

Tuned from_numbers(const Tuning& tuning) {
  Tuned tuned;
  for (const auto& [name, number] : tuning) {
    if (!std::isfinite(number)) continue;
    for (const Field& field : kFields) {
      if (field.name == name) tuned.*field.member = number;
    }
    read_separation(name, number, tuned.separation);
  }
  return tuned.beta > 0 && tuned.gap > 0 && tuned.items > 0 ? tuned : Tuned{};
}

bool describes(const Tuned& tuned, double beta, const SeparationRule& separation) noexcept {
  const SeparationRule& own = tuned.separation;
  if (tuned.beta != beta || own.kind != separation.kind) return false;
  if (own.kind == Separation::kEntmax) return own.alpha == separation.alpha;
  return own.kind != Separation::kTopK || own.k == separation.k;
}

double kappa(const SeparationRule& separation) noexcept {
  const double margin = separation_margin(separation);
  return std::isfinite(margin) && margin > 0 ? margin : 2 * std::log(100.0);
}

double beta_for(const Tuned& tuned, const SeparationRule& separation) noexcept {
  return tuned.gap > 0 ? kappa(separation) / tuned.gap : 0;
}

}  // namespace engram::recall
