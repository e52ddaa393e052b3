// SPDX-License-Identifier: Apache-2.0
// Patterns of +1 and -1 for tests of binary memories.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "tests/support/vectors.h"

namespace engram::test {

/// Signs that are independent and fair.
inline Vectors random_signs(Rng& rng, std::size_t count, std::size_t dim) {
  Vectors patterns{dim, std::vector<float>(count * dim)};
  for (float& value : patterns.values) value = rng() % 2 == 0 ? 1.0F : -1.0F;
  return patterns;
}

/// `pattern` with the signs of `count` coordinates, any of them, turned.
inline std::vector<float> with_flips(Rng& rng, std::span<const float> pattern, std::size_t count) {
  std::vector<float> flipped(pattern.begin(), pattern.end());
  std::vector<bool> is_flipped(pattern.size());
  while (count > 0) {
    const std::size_t i = rng() % pattern.size();
    if (is_flipped[i]) continue;
    is_flipped[i] = true;
    flipped[i] = -flipped[i];
    --count;
  }
  return flipped;
}

inline double overlap(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += double{a[i]} * double{b[i]};
  return sum;
}

}  // namespace engram::test
