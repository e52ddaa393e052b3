// SPDX-License-Identifier: Apache-2.0
#include "primitives/drdam/random_features.h"

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>

#include "core/hash.h"

namespace engram::drdam {
namespace {

using Rows = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Vector = Eigen::VectorXd;

Eigen::Index index(std::size_t value) {
  return static_cast<Eigen::Index>(value);
}

/// What a worker keeps between inserts.
struct TraceBuffers {
  std::vector<double> row;
  std::vector<double> angles;
  std::vector<std::uint64_t> trace;
};

}  // namespace

Result<RandomFeatures> RandomFeatures::create(std::size_t dim, std::size_t features, double beta,
                                              std::uint64_t seed) {
  if (features > kMostDraws / dim) {
    return fail(ErrorCode::kInvalidArgument,
                "FEATURES " + std::to_string(features) + " of " + std::to_string(dim) +
                    " dimensions are " + std::to_string(features * dim) +
                    " random numbers, at most " + std::to_string(kMostDraws) + " can be kept");
  }
  auto memory =
      MappedMemory::map(features * dim * sizeof(double), MappedMemory::Access::kReadWrite);
  if (!memory) return tl::unexpected(std::move(memory.error()));
  memory->prefer_huge_pages();
  auto matrix = std::make_unique<Matrix>();
  matrix->memory = std::move(*memory);
  return RandomFeatures(dim, features, beta, seed, std::move(matrix));
}

const double* RandomFeatures::matrix() const {
  if (!is_warm()) draw(features_ * dim_);
  return reinterpret_cast<const double*>(matrix_->memory.data());
}

bool RandomFeatures::is_warm() const noexcept {
  return matrix_->drawn.load(std::memory_order_acquire) == features_ * dim_;
}

void RandomFeatures::warm_up() const {
  constexpr std::size_t kStep = std::size_t{1} << 16;
  draw(kStep);
}

/// Draws the next numbers, at most `most` of them, which is even or all.
void RandomFeatures::draw(std::size_t most) const {
  const std::lock_guard lock(matrix_->mutex);
  const std::size_t begin = matrix_->drawn.load(std::memory_order_relaxed);
  const std::size_t all = features_ * dim_;
  const std::size_t end = begin + std::min(most, all - begin);
  auto* const numbers = reinterpret_cast<double*>(matrix_->memory.data());
  const std::uint64_t stream = mix(seed_);
  const double scale = std::sqrt(beta_);
  for (std::size_t i = begin; i < end; i += 2) {
    const double length = scale * std::sqrt(-2 * std::log(unit_interval(mix(stream + i))));
    const double angle = 2 * std::numbers::pi * unit_interval(mix(stream + i + 1));
    numbers[i] = length * std::cos(angle);
    if (i + 1 < end) numbers[i + 1] = length * std::sin(angle);
  }
  matrix_->drawn.store(end, std::memory_order_release);
}

void RandomFeatures::project(std::span<const double> x, std::span<double> angles) const {
  const Eigen::Map<const Rows> rows(matrix(), index(features_), index(dim_));
  Eigen::Map<Vector>(angles.data(), index(features_)).noalias() =
      rows * Eigen::Map<const Vector>(x.data(), index(dim_));
}

void RandomFeatures::project_back(std::span<const double> values, std::span<double> x) const {
  const Eigen::Map<const Rows> rows(matrix(), index(features_), index(dim_));
  Eigen::Map<Vector>(x.data(), index(dim_)).noalias() =
      rows.transpose() * Eigen::Map<const Vector>(values.data(), index(features_));
}

void RandomFeatures::prepare(const float* row, Scratch& scratch) const {
  auto& [values, angles, trace] = scratch.get<TraceBuffers>();
  values.assign(row, row + dim_);
  angles.resize(features_);
  project(values, angles);
  trace.assign(count(), 0);
  for (std::size_t a = 0; a < features_; ++a) {
    if (!std::isfinite(angles[a])) continue;
    trace[a] = static_cast<std::uint64_t>(std::llround(kUnit * std::cos(angles[a])));
    trace[features_ + a] = static_cast<std::uint64_t>(std::llround(kUnit * std::sin(angles[a])));
  }
}

void RandomFeatures::apply(bool takes_away, std::span<std::uint64_t> sum, Scratch& scratch) const {
  const auto& trace = scratch.get<TraceBuffers>().trace;
  for (std::size_t i = 0; i < trace.size(); ++i) {
    sum[i] = takes_away ? sum[i] - trace[i] : sum[i] + trace[i];
  }
}

std::vector<Fact> RandomFeatures::describe() const {
  return {{"sum-bytes", std::to_string(count() * sizeof(Number))}};
}

}  // namespace engram::drdam
