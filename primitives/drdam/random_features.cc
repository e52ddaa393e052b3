// SPDX-License-Identifier: Apache-2.0
#include "primitives/drdam/random_features.h"

#include <Eigen/Core>
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
  auto* const numbers = reinterpret_cast<double*>(matrix_->memory.data());
  std::call_once(matrix_->drawn, [&] { draw({numbers, features_ * dim_}); });
  return numbers;
}

void RandomFeatures::draw(std::span<double> numbers) const {
  const std::uint64_t stream = mix(seed_);
  const double scale = std::sqrt(beta_);
  for (std::size_t i = 0; i < numbers.size(); i += 2) {
    const double length = scale * std::sqrt(-2 * std::log(unit_interval(mix(stream + i))));
    const double angle = 2 * std::numbers::pi * unit_interval(mix(stream + i + 1));
    numbers[i] = length * std::cos(angle);
    if (i + 1 < numbers.size()) numbers[i + 1] = length * std::sin(angle);
  }
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
