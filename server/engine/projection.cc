// SPDX-License-Identifier: Apache-2.0
#include "server/engine/projection.h"

#include <algorithm>
#include <cmath>
#include <new>

#include "core/hash.h"
#include "core/row.h"
#include "core/text.h"

namespace engram {
namespace {

/// Drawn, and for each vector multiplied, on the loop.
constexpr std::size_t kMostNumbers = std::size_t{1} << 20;

}  // namespace

Result<std::shared_ptr<const Projection>> Projection::create(std::size_t from, std::size_t to,
                                                             std::uint64_t seed) {
  if (to < 1 || to > from || from > kMaxDimension) {
    return fail(ErrorCode::kInvalidArgument, "there is no projection from " + std::to_string(from) +
                                                 " to " + std::to_string(to) + " dimensions");
  }
  if (from * to > kMostNumbers) {
    return fail(ErrorCode::kInvalidArgument,
                "a projection from " + std::to_string(from) + " to " + std::to_string(to) +
                    " dimensions is " + std::to_string(from * to) + " random numbers, at most " +
                    std::to_string(kMostNumbers) + " are kept");
  }
  try {
    return std::shared_ptr<const Projection>(new Projection(from, to, seed));
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::kResourceExhausted, "there is no memory for a projection");
  }
}

Projection::Projection(std::size_t from, std::size_t to, std::uint64_t seed)
    : from_(from), to_(to), seed_(seed), matrix_(from * to) {
  const std::uint64_t stream = mix(seed);
  const double width = std::sqrt(12 / static_cast<double>(to));  // of a variance of 1 / to
  for (std::size_t i = 0; i < matrix_.size(); ++i) {
    matrix_[i] = static_cast<float>(width * (unit_interval(mix(stream + i)) - 0.5));
  }
}

void Projection::apply(std::span<const float> vector, std::span<float> projected) const {
  std::fill(projected.begin(), projected.end(), 0.0F);
  const float* row = matrix_.data();
  for (const float component : vector) {
    for (std::size_t i = 0; i < to_; ++i) projected[i] += component * row[i];
    row += to_;
  }
}

std::string Projection::text() const {
  return std::to_string(from_) + ' ' + std::to_string(seed_);
}

Result<std::shared_ptr<const Projection>> Projection::parse(std::string_view text, std::size_t to) {
  const std::size_t space = text.find(' ');
  const auto from = parse_number<std::size_t>(text.substr(0, space));
  const auto seed = space == std::string_view::npos
                        ? std::nullopt
                        : parse_number<std::uint64_t>(text.substr(space + 1));
  if (from && seed) return create(*from, to, *seed);
  return fail(ErrorCode::kInvalidArgument, "there is no projection '" + std::string(text) + "'");
}

}  // namespace engram
