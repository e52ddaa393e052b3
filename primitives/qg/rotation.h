// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace engram::qg {

/// A random rotation that costs dim log dim: rounds of random signs and a Walsh-Hadamard transform
/// [Ailon2009]. Where the dimension is no power of two, the transform takes turns at
/// its beginning and its end, and each round ends with a rotation of the first half against the
/// second. After it the components of any vector are about equally large, which signs and coarse
/// codes want. The same on every machine. Immutable, so any thread.
class Rotation {
 public:
  /// Of vectors of `dim` components; `seed` draws it.
  Rotation(std::size_t dim, std::uint64_t seed);

  /// How many components a rotated vector has: dim, rounded up to a multiple of 16.
  std::size_t size() const noexcept { return size_; }

  /// vector: [size()], zeros behind dim; rotated in place. Lengths and angles stay.
  void apply(std::span<float> vector) const noexcept;

 private:
  const std::size_t size_;
  const std::size_t transformed_;  // the greatest power of two that fits
  std::vector<float> signs_;       // [rounds][size], with the factor that keeps the length
};

}  // namespace engram::qg
