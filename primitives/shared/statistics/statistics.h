// SPDX-License-Identifier: Apache-2.0
// Samples of items, and what samples of numbers say.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/slot.h"

namespace engram::recall {

/// `count` of `slots` (all, if there are fewer), ascending: the same ones for the same slots and
/// seed.
std::vector<Slot> draw_sample(const std::vector<Slot>& slots, std::size_t count,
                              std::uint64_t seed);

/// `values` must not be empty.
double mean(const std::vector<double>& values);

/// The `share`-quantile; `values` must not be empty.
double quantile(std::vector<double> values, double share);

/// The share of `values` for which `holds` is true; `values` must not be empty.
template <class Predicate>
double share_of(const std::vector<double>& values, Predicate&& holds) {
  const auto count = std::count_if(values.begin(), values.end(), holds);
  return static_cast<double>(count) / static_cast<double>(values.size());
}

/// Whether so many items have come or gone since numbers were found that these are of the past.
inline bool is_stale(double items_then, std::size_t items_now) noexcept {
  const double ratio = static_cast<double>(items_now) / items_then;
  return ratio >= 2 || ratio <= 0.5;
}

}  // namespace engram::recall
