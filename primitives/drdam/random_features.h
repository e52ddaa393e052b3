// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

#include "core/recall.h"
#include "core/reserved_memory.h"
#include "core/result.h"
#include "core/scratch.h"

namespace engram::drdam {

/// Random Fourier features of the Gaussian kernel [Rahimi2007], in pairs [Hoover2024]:
///
///   phi(x) = Y^-1/2 [cos(u), sin(u)], u = sqrt(beta) S x, S ~ N(0, I) [Y, dim]
///
/// so that phi(q).phi(x) estimates k = exp(-beta/2 ||q - x||^2) with a variance of (1 - k^2)^2 /
/// 2Y.
///
/// A trace of primitives/shared/superposed/superposed_memory.h: 2Y numbers, first the cosines and
/// then the sines, in units of 2^-30, without the factor Y^-1/2. A feature of a damaged row that
/// has no angle leaves nothing.
///
/// S is drawn from the seed by SplitMix64 [Steele2014] and the transform of Box and Muller, alike
/// on all machines as far as their logarithms and cosines are. It is drawn by warm_up(), some 20 ns
/// a number, or by who needs it first: create() may run where all clients wait. Any number of
/// threads may share one.
class RandomFeatures {
 public:
  using Number = std::int64_t;

  /// What stands for 1 in a trace: so small that the most items an index can hold do not overflow.
  static constexpr double kUnit = 0x1p30;
  /// Of features times dim, 256 MiB of doubles.
  static constexpr std::size_t kMostDraws = std::size_t{1} << 25;

  /// features: Y, at least 1. beta > 0. Errors: kInvalidArgument beyond kMostDraws;
  /// kResourceExhausted.
  static Result<RandomFeatures> create(std::size_t dim, std::size_t features, double beta,
                                       std::uint64_t seed);

  std::size_t dim() const noexcept { return dim_; }
  std::size_t features() const noexcept { return features_; }
  double beta() const noexcept { return beta_; }

  /// All of S is drawn.
  bool is_warm() const noexcept;
  /// Draws some more of S.
  void warm_up() const;

  /// angles = sqrt(beta) S x. x: [dim], angles: [Y], apart.
  void project(std::span<const double> x, std::span<double> angles) const;
  /// x = sqrt(beta) S^T values. values: [Y], x: [dim], apart.
  void project_back(std::span<const double> values, std::span<double> x) const;

  std::size_t count() const noexcept { return 2 * features_; }
  void prepare(const float* row, Scratch& scratch) const;
  void apply(bool takes_away, std::span<std::uint64_t> sum, Scratch& scratch) const;
  std::size_t memory_bytes() const noexcept { return matrix_->memory.size(); }
  std::vector<Fact> describe() const;

 private:
  /// sqrt(beta) S, row by row.
  struct Matrix {
    MappedMemory memory;
    std::mutex mutex;                   // of who draws
    std::atomic<std::size_t> drawn{0};  // numbers, from the first on
  };

  RandomFeatures(std::size_t dim, std::size_t features, double beta, std::uint64_t seed,
                 std::unique_ptr<Matrix> matrix)
      : dim_(dim), features_(features), beta_(beta), seed_(seed), matrix_(std::move(matrix)) {}

  /// The numbers of the matrix, drawn.
  const double* matrix() const;
  void draw(std::size_t most) const;

  std::size_t dim_;
  std::size_t features_;
  double beta_;
  std::uint64_t seed_;
  std::unique_ptr<Matrix> matrix_;
};

}  // namespace engram::drdam
