// SPDX-License-Identifier: Apache-2.0
#include "core/groups/prototype.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

namespace engram {

Result<std::unique_ptr<PrototypeMaker>> PrototypeMaker::create(const GroupedItems& items,
                                                               std::string_view kernel) {
  auto algebra = make_row_algebra(kernel, items.rows.dim());
  if (!algebra) return tl::unexpected(std::move(algebra.error()));
  return std::unique_ptr<PrototypeMaker>(new PrototypeMaker(items, std::move(*algebra)));
}

PrototypeMaker::PrototypeMaker(const GroupedItems& items, std::unique_ptr<RowAlgebra> algebra)
    : items_(items), algebra_(std::move(algebra)), mean_(items.rows.row_bytes() / sizeof(float)) {
  places_.reserve(2 * items_.rows.row_bytes());
}

const float* PrototypeMaker::row(std::uint32_t item, std::size_t place) {
  std::byte* const bytes = places_.reserve(0) + place * items_.rows.row_bytes();
  return reinterpret_cast<const float*>(items_.rows.at(item, bytes));
}

bool PrototypeMaker::are_same(std::span<const std::uint32_t> members) {
  const float* const first = row(members.front(), 1);
  return std::all_of(members.begin(), members.end(), [&](std::uint32_t item) {
    return std::equal(first, first + items_.rows.dim(), row(item));
  });
}

void PrototypeMaker::find_mean(std::span<const std::uint32_t> members) {
  std::fill(mean_.begin(), mean_.end(), 0.0);
  for_each_share(items_, members, [&](std::uint32_t item, double share) {
    const auto* const bytes = reinterpret_cast<const std::byte*>(row(item));
    algebra_->add_rows({&share, 1}, {&bytes, 1}, mean_);
  });
}

namespace {

double square_between(const float* row, const double* point, std::size_t dim) {
  double sum = 0;
  for (std::size_t i = 0; i < dim; ++i) sum += (row[i] - point[i]) * (row[i] - point[i]);
  return sum;
}

/// Rows are within kMaxNorm, and so is their mean.
std::vector<float> rounded(std::span<const double> point, double scale) {
  std::vector<float> vector(point.size());
  std::transform(point.begin(), point.end(), vector.begin(),
                 [scale](double value) { return static_cast<float>(value * scale); });
  return vector;
}

}  // namespace

Prototype PrototypeMaker::make(std::span<const std::uint32_t> members, Keep keep) {
  const std::size_t dim = items_.rows.dim();
  if (are_same(members)) {
    const float* const first = row(members.front());
    double square = 0;
    for (std::size_t i = 0; i < dim; ++i) square += double{first[i]} * first[i];
    return {{}, members.front(), 0, 0, std::sqrt(square)};
  }
  find_mean(members);
  Prototype prototype = {{}, members.front(), 0, 0, 0};
  double least = -1;
  for_each_share(items_, members, [&](std::uint32_t item, double share) {
    const double square = square_between(row(item), mean_.data(), dim);
    prototype.variance += share * square;
    prototype.radius = std::max(prototype.radius, std::sqrt(square));
    const bool is_medoid = keep == Keep::kMedoid && (least < 0 || square < least);
    if (!is_medoid) return;
    least = square;
    prototype.kept = item;
  });
  double square = 0;
  for (const double value : mean_) square += value * value;
  prototype.mean_length = std::sqrt(square);
  const bool is_cosine = items_.rows.metric() == Metric::kCosine;
  if (keep == Keep::kMedoid) {
    const float* const medoid = row(prototype.kept);
    std::copy_n(medoid, dim, mean_.begin());
    prototype.radius = 0;
    for (const std::uint32_t item : members) {
      prototype.radius =
          std::max(prototype.radius, std::sqrt(square_between(row(item), mean_.data(), dim)));
    }
  } else if (!is_cosine || prototype.mean_length > 1e-6) {
    const double scale = is_cosine ? 1 / prototype.mean_length : 1;
    prototype.vector = rounded(std::span(mean_).first(dim), scale);
  }
  return prototype;
}

}  // namespace engram
