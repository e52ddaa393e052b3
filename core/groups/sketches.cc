// SPDX-License-Identifier: Apache-2.0
#include "core/groups/sketches.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "core/groups/principal_axes.h"

namespace engram {

Result<std::unique_ptr<Sketches>> Sketches::create(const OrderedRows& rows,
                                                   std::string_view kernel) {
  std::unique_ptr<Sketches> made(new Sketches(rows));
  const auto make = [&](Metric metric, std::size_t dim, std::unique_ptr<Kernel>& into) -> Status {
    auto one = make_kernel(kernel, metric, dim);
    if (!one) return tl::unexpected(std::move(one.error()));
    into = std::move(*one);
    return {};
  };
  ENGRAM_TRY(make(Metric::kL2, Sketch::kAxes, made->coarse_));
  ENGRAM_TRY(make(Metric::kL2, rows.dim(), made->exact_));
  ENGRAM_TRY(make(Metric::kDot, rows.dim(), made->product_));
  return made;
}

bool Sketches::step() {
  if (rows_.size() == 0) return false;
  if (axes_ == 0) {
    find_axes();
    sketches_.resize(rows_.size());
  } else {
    sketch_some();
  }
  return done_ < rows_.size();
}

void Sketches::find_axes() {
  const PrincipalAxes found = principal_axes(rows_, Sketch::kAxes);
  axes_ = found.count;
  const std::size_t bytes = rows_.row_bytes();
  std::byte* const place = axis_rows_.reserve(axes_ * bytes);
  for (std::size_t axis = 0; axis < axes_; ++axis) {
    auto* const row = reinterpret_cast<float*>(place + axis * bytes);
    std::fill_n(row, bytes / sizeof(float), 0.0F);
    for (std::size_t i = 0; i < rows_.dim(); ++i) row[i] = found.values[i * axes_ + axis];
  }
}

/// A megabyte of rows or so, each block of which is read for all axes while a cache has it.
void Sketches::sketch_some() {
  constexpr std::size_t kBlock = 64;
  constexpr std::size_t kBytesPerStep = std::size_t{1} << 20;
  const std::size_t bytes = rows_.row_bytes();
  AlignedBuffer decoded;
  std::byte* const places = decoded.reserve((kBlock + 1) * bytes);
  std::byte* const origin = places + kBlock * bytes;
  std::fill_n(origin, bytes, std::byte{0});
  std::array<const std::byte*, kBlock> block;
  std::array<float, kBlock> scores;
  for (std::size_t seen = 0; seen < kBytesPerStep && done_ < rows_.size();) {
    const std::size_t count = std::min(kBlock, rows_.size() - done_);
    for (std::size_t i = 0; i < count; ++i) block[i] = rows_.at(done_ + i, places + i * bytes);
    for (std::size_t axis = 0; axis < axes_; ++axis) {
      product_->gather({axis_rows_.reserve(0) + axis * bytes}, {block.data(), count},
                       {scores.data(), count});
      for (std::size_t i = 0; i < count; ++i) sketches_[done_ + i].along[axis] = 0 - scores[i];
    }
    exact_->gather({origin}, {block.data(), count}, {scores.data(), count});
    for (std::size_t i = 0; i < count; ++i) {
      longest_ = std::max(longest_, std::sqrt(squared_distance(scores[i])));
    }
    done_ += count;
    seen += count * bytes;
  }
}

/// A product of float32 is wrong by gamma of the sum of absolute terms, which is the product of the
/// lengths at most (Cauchy-Schwarz); there are kAxes of them in a sketch, and two sketches. Axes
/// are orthonormal to some units in the last place.
float Sketches::limit(double distance) const noexcept {
  constexpr double kUnit = 0x1p-24;
  const double terms = static_cast<double>(rows_.dim()) / 8 + 64;
  const double slack = 2 * std::sqrt(double{Sketch::kAxes}) * terms * kUnit * longest_;
  const double most = (distance + slack) * (1 + 1e-4);
  const double square = most * most;
  if (!(square < double{std::numeric_limits<float>::max()} / 2)) {
    return std::numeric_limits<float>::infinity();
  }
  return std::max(kLeastSquare, static_cast<float>(square) * 1.0001F);
}

void Sketches::measure(const std::byte* query, std::span<const std::byte* const> others,
                       std::span<double> squares) const noexcept {
  std::array<float, 64> scores;
  for (std::size_t first = 0; first < others.size(); first += scores.size()) {
    const std::size_t count = std::min(scores.size(), others.size() - first);
    exact_->gather({query}, others.subspan(first, count), {scores.data(), count});
    for (std::size_t i = 0; i < count; ++i) squares[first + i] = squared_distance(scores[i]);
  }
}

}  // namespace engram
