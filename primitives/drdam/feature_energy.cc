// SPDX-License-Identifier: Apache-2.0
#include "primitives/drdam/feature_energy.h"

#include <algorithm>
#include <cmath>

namespace engram::drdam {

void Superposition::read(const RandomFeatures& features, std::span<const std::int64_t> sum) {
  const std::size_t count = features.features();
  cosines_.resize(count);
  sines_.resize(count);
  double squares = 0;
  for (std::size_t a = 0; a < count; ++a) {
    cosines_[a] = static_cast<double>(sum[a]) / RandomFeatures::kUnit;
    sines_[a] = static_cast<double>(sum[count + a]) / RandomFeatures::kUnit;
    squares += cosines_[a] * cosines_[a] + sines_[a] * sines_[a];
  }
  noise_ = std::sqrt(squares / 2) / static_cast<double>(count);
}

double energy_of(double kernels, double floor, double beta) noexcept {
  return -std::log(std::max(kernels, floor)) / beta;
}

void FeatureEnergy::look(Place& place) const {
  const auto cosines = superposition_.cosines();
  const auto sines = superposition_.sines();
  place.slopes.resize(features_.features());
  features_.project(place.state, place.slopes);
  double sum = 0;
  for (std::size_t a = 0; a < place.slopes.size(); ++a) {
    const double cosine = std::cos(place.slopes[a]);
    const double sine = std::sin(place.slopes[a]);
    sum += cosine * cosines[a] + sine * sines[a];
    place.slopes[a] = cosine * sines[a] - sine * cosines[a];
  }
  place.kernels = sum / static_cast<double>(place.slopes.size());
  place.energy = energy_of(place.kernels, floor(), features_.beta());
}

void FeatureEnergy::gradient(const Place& place, std::vector<double>& gradient) const {
  gradient.resize(features_.dim());
  features_.project_back(place.slopes, gradient);
  const double scale =
      -1 / (features_.beta() * place.kernels * static_cast<double>(features_.features()));
  for (double& value : gradient) value *= scale;
}

}  // namespace engram::drdam
