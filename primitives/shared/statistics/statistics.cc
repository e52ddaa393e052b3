// SPDX-License-Identifier: Apache-2.0
#include "primitives/shared/statistics/statistics.h"

#include <numeric>

#include "core/hash.h"

namespace engram::recall {

std::vector<Slot> draw_sample(const std::vector<Slot>& slots, std::size_t count,
                              std::uint64_t seed) {
  // Those whose hashes are the least.
  std::vector<Slot> drawn = slots;
  const auto precedes = [salt = mix(seed)](Slot a, Slot b) {
    return mix(a ^ salt) < mix(b ^ salt);
  };
  if (count < drawn.size()) {
    const auto end = drawn.begin() + static_cast<std::ptrdiff_t>(count);
    std::nth_element(drawn.begin(), end, drawn.end(), precedes);
    drawn.resize(count);
  }
  std::sort(drawn.begin(), drawn.end());
  return drawn;
}

double mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double quantile(std::vector<double> values, double share) {
  const auto place = static_cast<std::ptrdiff_t>(share * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), values.begin() + place, values.end());
  return values[static_cast<std::size_t>(place)];
}

}  // namespace engram::recall
