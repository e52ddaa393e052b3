// SPDX-License-Identifier: Apache-2.0
// Vectors for tests.
#pragma once

#include <cstddef>
#include <random>
#include <span>
#include <vector>

namespace engram::test {

using Rng = std::mt19937_64;

/// `count` vectors of one dimension, one after the other.
struct Vectors {
  std::size_t dim;
  std::vector<float> values;

  std::size_t count() const { return values.size() / dim; }
  std::span<const float> operator[](std::size_t i) const {
    return std::span(values).subspan(i * dim, dim);
  }
};

/// Components independent and uniform in [-1, 1).
inline Vectors uniform_vectors(Rng& rng, std::size_t count, std::size_t dim) {
  std::uniform_real_distribution<float> component(-1, 1);
  Vectors vectors{dim, std::vector<float>(count * dim)};
  for (float& value : vectors.values) value = component(rng);
  return vectors;
}

/// Uniform in small cubes around a few centres, as embeddings of real things are.
inline Vectors clustered_vectors(Rng& rng, std::size_t count, std::size_t dim,
                                 std::size_t clusters = 20) {
  const Vectors centres = uniform_vectors(rng, clusters, dim);
  Vectors vectors = uniform_vectors(rng, count, dim);
  for (std::size_t i = 0; i < count; ++i) {
    const auto centre = centres[rng() % clusters];
    for (std::size_t d = 0; d < dim; ++d) {
      float& value = vectors.values[i * dim + d];
      value = centre[d] + 0.2F * value;
    }
  }
  return vectors;
}

/// The same vector `count` times.
inline Vectors equal_vectors(std::size_t count, std::size_t dim, float component) {
  return {dim, std::vector<float>(count * dim, component)};
}

}  // namespace engram::test
