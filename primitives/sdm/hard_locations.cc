// SPDX-License-Identifier: Apache-2.0
#include "primitives/sdm/hard_locations.h"

#include <cmath>

#include "core/hash.h"
#include "core/text.h"
#include "primitives/sdm/activation.h"

namespace engram::sdm {
namespace {

/// What an item leaves.
struct Imprint {
  std::vector<std::uint32_t> steps;  // [dim], what is added to the counters of a location
  std::vector<std::size_t> active;   // the locations
};

}  // namespace

HardLocations::HardLocations(std::size_t dim, std::size_t locations, std::size_t radius,
                             std::uint64_t seed)
    : dim_(dim),
      locations_(locations),
      radius_(radius),
      stride_(recall::sign_words(dim)),
      addresses_(locations * stride_) {
  const std::uint64_t salt = mix(seed);
  for (std::size_t i = 0; i < addresses_.size(); ++i) addresses_[i] = mix(salt ^ i);
}

void HardLocations::prepare(const float* row, Scratch& scratch) const {
  const recall::SignState item({.vector = {row, dim_}}, dim_);
  auto& [steps, active] = scratch.get<Imprint>();
  steps.resize(dim_);
  for (std::size_t i = 0; i < dim_; ++i) steps[i] = item.sign(i) > 0 ? 1U : ~0U;  // -1
  active.clear();
  for (std::size_t location = 0; location < locations_; ++location) {
    if (is_active(location, item)) active.push_back(location);
  }
}

void HardLocations::apply(bool takes_away, std::span<std::uint32_t> sum, Scratch& scratch) const {
  const auto& [steps, active] = scratch.get<Imprint>();
  for (const std::size_t location : active) {
    std::uint32_t* const counters = &sum[location * dim_];
    if (takes_away) {
      for (std::size_t i = 0; i < dim_; ++i) counters[i] -= steps[i];
    } else {
      for (std::size_t i = 0; i < dim_; ++i) counters[i] += steps[i];
    }
  }
}

std::vector<Fact> HardLocations::describe() const {
  return {{"activation-radius", number_text(static_cast<double>(radius_))},
          {"activation", number_text(std::exp(log_activation(dim_, radius_)))},
          {"counters", number_text(static_cast<double>(count()))}};
}

}  // namespace engram::sdm
