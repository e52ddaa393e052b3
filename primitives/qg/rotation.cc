// SPDX-License-Identifier: Apache-2.0
#include "primitives/qg/rotation.h"

#include <bit>
#include <cmath>

#include "core/aligned_buffer.h"
#include "core/assert.h"
#include "core/hash.h"

namespace engram::qg {
namespace {

constexpr std::size_t kMultiple = 16;
constexpr std::size_t kRounds = 2;  // even: beginning and end take turns

/// Two steps of the transform in one pass: of four runs of `quarter` values.
void transform_four(float* values, std::size_t quarter) noexcept {
  float* const a = values;
  float* const b = a + quarter;
  float* const c = b + quarter;
  float* const d = c + quarter;
  for (std::size_t i = 0; i < quarter; ++i) {
    const float first_sum = a[i] + b[i];
    const float first_difference = a[i] - b[i];
    const float second_sum = c[i] + d[i];
    const float second_difference = c[i] - d[i];
    a[i] = first_sum + second_sum;
    b[i] = first_difference + second_difference;
    c[i] = first_sum - second_sum;
    d[i] = first_difference - second_difference;
  }
}

/// The Walsh-Hadamard transform without its factor. count: a power of two.
void transform(float* values, std::size_t count) noexcept {
  std::size_t done = 1;
  for (; done * 4 <= count; done *= 4) {
    for (std::size_t i = 0; i < count; i += 4 * done) transform_four(values + i, done);
  }
  if (done == count) return;
  for (std::size_t i = 0; i < done; ++i) {
    const float sum = values[i] + values[i + done];
    values[i + done] = values[i] - values[i + done];
    values[i] = sum;
  }
}

/// Turns each component of the first half and its partner in the second by 45 degrees.
void turn_halves(std::span<float> vector) noexcept {
  constexpr float kCosine = 0.70710678118654752F;
  const std::size_t half = vector.size() / 2;
  for (std::size_t i = 0; i < half; ++i) {
    const float sum = (vector[i] + vector[i + half]) * kCosine;
    vector[i + half] = (vector[i] - vector[i + half]) * kCosine;
    vector[i] = sum;
  }
}

}  // namespace

Rotation::Rotation(std::size_t dim, std::uint64_t seed)
    : size_(round_up(dim, kMultiple)), transformed_(std::bit_floor(size_)) {
  const float factor = 1 / std::sqrt(static_cast<float>(transformed_));
  for (std::size_t round = 0; round < kRounds; ++round) {
    const std::size_t begin = round % 2 == 0 ? 0 : size_ - transformed_;
    for (std::size_t i = 0; i < size_; ++i) {
      const bool is_transformed = i >= begin && i < begin + transformed_;
      const float scale = is_transformed ? factor : 1;
      const bool is_negative = (mix(seed ^ mix(round * size_ + i)) & 1) != 0;
      signs_.push_back(is_negative ? -scale : scale);
    }
  }
}

void Rotation::apply(std::span<float> vector) const noexcept {
  ENGRAM_DASSERT(vector.size() == size_);
  const float* signs = signs_.data();
  for (std::size_t round = 0; round < kRounds; ++round, signs += size_) {
    for (std::size_t i = 0; i < size_; ++i) vector[i] *= signs[i];
    transform(vector.data() + (round % 2 == 0 ? 0 : size_ - transformed_), transformed_);
    if (transformed_ != size_) turn_halves(vector);
  }
}

}  // namespace engram::qg
