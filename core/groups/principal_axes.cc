// SPDX-License-Identifier: Apache-2.0
#include "core/groups/principal_axes.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "core/hash.h"

namespace engram {
namespace {

/// Makes the columns of `values` ([dim][count]) orthonormal, twice over (Kahan's advice); a column
/// that has nothing of its own becomes zeros.
void orthonormalize(std::vector<float>& values, std::size_t count) {
  const std::size_t dim = values.size() / count;
  std::vector<std::vector<double>> columns(count, std::vector<double>(dim));
  for (std::size_t i = 0; i < dim; ++i) {
    for (std::size_t k = 0; k < count; ++k) columns[k][i] = values[i * count + k];
  }
  const auto product = [&](const std::vector<double>& a, const std::vector<double>& b) {
    double sum = 0;
    for (std::size_t i = 0; i < dim; ++i) sum += a[i] * b[i];
    return sum;
  };
  for (std::size_t k = 0; k < count; ++k) {
    std::vector<double>& column = columns[k];
    const double before = std::sqrt(product(column, column));
    for (int round = 0; round < 2; ++round) {
      for (std::size_t other = 0; other < k; ++other) {
        const double share = product(column, columns[other]);
        for (std::size_t i = 0; i < dim; ++i) column[i] -= share * columns[other][i];
      }
    }
    const double length = std::sqrt(product(column, column));
    const double scale = length > 1e-6 * before && length > 0 ? 1 / length : 0;
    for (double& value : column) value *= scale;
  }
  for (std::size_t i = 0; i < dim; ++i) {
    for (std::size_t k = 0; k < count; ++k) {
      values[i * count + k] = static_cast<float>(columns[k][i]);
    }
  }
}

/// Evenly spaced rows without their mean, [n][dim], scaled so that no product of two is too large.
std::vector<float> centred_sample(const OrderedRows& rows, std::size_t n) {
  const std::size_t dim = rows.dim();
  std::vector<float> sample(n * dim);
  std::vector<double> mean(dim);
  AlignedBuffer buffer;
  std::byte* const place = buffer.reserve(rows.row_bytes());
  double largest = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const auto* const row = reinterpret_cast<const float*>(rows.at(i * rows.size() / n, place));
    for (std::size_t j = 0; j < dim; ++j) {
      sample[i * dim + j] = row[j];
      mean[j] += double{row[j]} / static_cast<double>(n);
      largest = std::max(largest, std::abs(double{row[j]}));
    }
  }
  const double scale = largest > 0 ? 1 / largest : 0;
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < dim; ++j) {
      float& value = sample[i * dim + j];
      value = static_cast<float>((double{value} - mean[j]) * scale);
    }
  }
  return sample;
}

/// Makes `axes` the sample's covariance, but for a factor, times itself.
void multiply_by_covariance(const std::vector<float>& sample, std::size_t count,
                            std::vector<float>& axes) {
  const std::size_t dim = axes.size() / count;
  std::vector<float> product(axes.size());
  std::vector<float> along(count);
  for (std::size_t begin = 0; begin < sample.size(); begin += dim) {
    const float* const row = &sample[begin];
    std::fill(along.begin(), along.end(), 0.0F);
    for (std::size_t j = 0; j < dim; ++j) {
      for (std::size_t k = 0; k < count; ++k) along[k] += row[j] * axes[j * count + k];
    }
    for (std::size_t j = 0; j < dim; ++j) {
      for (std::size_t k = 0; k < count; ++k) product[j * count + k] += row[j] * along[k];
    }
  }
  axes = std::move(product);
}

}  // namespace

PrincipalAxes principal_axes(const OrderedRows& rows, std::size_t count) {
  constexpr std::size_t kMostNumbers = std::size_t{1} << 19;
  constexpr int kRounds = 3;
  const std::size_t dim = rows.dim();
  PrincipalAxes axes = {.count = std::min(count, dim), .values = {}};
  axes.values.resize(dim * axes.count);
  if (dim <= count) {
    for (std::size_t i = 0; i < dim; ++i) axes.values[i * dim + i] = 1;
    return axes;
  }
  for (std::size_t i = 0; i < axes.values.size(); ++i) {
    axes.values[i] = static_cast<float>(unit_interval(mix(i)) - 0.5);
  }
  const std::size_t n = std::min(rows.size(), std::clamp<std::size_t>(kMostNumbers / dim, 8, 1024));
  const std::vector<float> sample = centred_sample(rows, n);
  orthonormalize(axes.values, axes.count);
  for (int round = 0; round < kRounds; ++round) {
    multiply_by_covariance(sample, axes.count, axes.values);
    orthonormalize(axes.values, axes.count);
  }
  return axes;
}

}  // namespace engram
