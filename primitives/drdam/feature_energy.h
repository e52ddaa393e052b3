// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "primitives/drdam/random_features.h"

namespace engram::drdam {

/// T = sum_i phi(x_i), read from a sum of traces.
class Superposition {
 public:
  /// sum: [2Y]
  void read(const RandomFeatures& features, std::span<const std::int64_t> sum);

  /// [Y] each, without phi's factor Y^-1/2.
  std::span<const double> cosines() const noexcept { return cosines_; }
  std::span<const double> sines() const noexcept { return sines_; }

  /// The standard deviation of phi(q).T over the draws of S where q is far from all items, so that
  /// the exact sum of kernels is nothing: the angles are uniform then, and it is ||T|| / sqrt(2Y).
  /// That is sqrt(N / 2Y) for items far from each other, and N / sqrt(2Y) for one item N times.
  double noise() const noexcept { return noise_; }

 private:
  std::vector<double> cosines_;
  std::vector<double> sines_;
  double noise_ = 0;
};

/// A state and what is known there.
struct Place {
  std::vector<double> state;   ///< [dim]
  double kernels = 0;          ///< phi(q).T, which estimates sum_i exp(-beta/2 ||q - x_i||^2)
  double energy = 0;           ///< in units of squared distances
  std::vector<double> slopes;  ///< [Y], of Y phi(q).T by each angle
};

/// E where phi(q).T is `kernels`; +infinity if the floor is 0, for then there is nothing at all.
double energy_of(double kernels, double floor, double beta) noexcept;

/// E(q) = -1/beta ln max(phi(q).T, floor). Borrows all it is given; immutable.
class FeatureEnergy {
 public:
  /// The floor, in standard deviations of what is nothing.
  static constexpr double kFloor = 2;

  FeatureEnergy(const RandomFeatures& features, const Superposition& superposition)
      : features_(features), superposition_(superposition) {}

  double floor() const noexcept { return kFloor * superposition_.noise(); }

  /// Fills in the rest of `place` for its state.
  void look(Place& place) const;

  /// Whether E has a slope there.
  bool covers(const Place& place) const noexcept { return place.kernels > floor(); }

  /// The gradient of E at a place that it covers, [dim]. With exact kernels it would be q - sum_i
  /// p_i x_i: a step of rate 1 is one of mean shift.
  void gradient(const Place& place, std::vector<double>& gradient) const;

 private:
  const RandomFeatures& features_;
  const Superposition& superposition_;
};

}  // namespace engram::drdam
