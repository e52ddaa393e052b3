// SPDX-License-Identifier: Apache-2.0
// Vectors with fewer dimensions than they are given with: a random projection [Johnson &
// Lindenstrauss 1984], whose matrix is drawn from a seed. Its numbers are uniform, which serves as
// well as Gaussian ones [Matousek 2008] and is drawn in a moment. It is kept as that seed, so a
// restart has the same one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace engram {

/// Immutable. Any thread.
class Projection {
 public:
  /// From `from` dimensions to `to`. Errors: kInvalidArgument unless 1 <= to <= from <=
  /// kMaxDimension, or for a matrix that is too large to be drawn at once; kResourceExhausted.
  static Result<std::shared_ptr<const Projection>> create(std::size_t from, std::size_t to,
                                                          std::uint64_t seed);

  [[nodiscard]] std::size_t from() const noexcept { return from_; }
  [[nodiscard]] std::size_t to() const noexcept { return to_; }
  [[nodiscard]] std::size_t memory_bytes() const noexcept { return matrix_.size() * sizeof(float); }

  /// vector: [from], passed check_vector. projected: [to]. Lengths stay what they are on average.
  void apply(std::span<const float> vector, std::span<float> projected) const;

  /// What parse() makes the same projection from, to `to` dimensions.
  [[nodiscard]] std::string text() const;
  /// Errors: kInvalidArgument for what text() has not written; those of create().
  static Result<std::shared_ptr<const Projection>> parse(std::string_view text, std::size_t to);

 private:
  Projection(std::size_t from, std::size_t to, std::uint64_t seed);

  const std::size_t from_;
  const std::size_t to_;
  const std::uint64_t seed_;
  std::vector<float> matrix_;  // [from][to]
};

}  // namespace engram
