// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "server/requests/index_ref.h"

namespace engram {

/// What CheckedVectors::add() checks, of an index that is elsewhere and has `dim` dimensions.
/// Errors: kInvalidArgument.
Status check_vector_of(std::string_view index, std::size_t dim, std::span<const float> vector);

/// Vectors of a client that an index may be given: each has its dimension and passed check_vector.
/// Of an index with a projection, those that have the dimension that it is from go through it. All
/// are of one index. A vector that is refused is not added.
class CheckedVectors {
 public:
  /// Makes room for `count` more.
  void reserve(const IndexRef& index, std::size_t count);

  /// Errors: kInvalidArgument for a wrong length, NaN, infinity or a norm that is too large.
  Status add(const IndexRef& index, std::span<const float> vector);
  /// The same of packed little-endian float32, at any alignment; packed() (change.h) is its
  /// opposite.
  Status add(const IndexRef& index, std::string_view packed);
  /// Adds the vector that the index holds under `key`. False if it holds none.
  [[nodiscard]] bool add_stored(const IndexRef& index, std::string_view key);

  /// [n * dim]
  [[nodiscard]] std::span<const float> values() const noexcept { return values_; }
  [[nodiscard]] bool empty() const noexcept { return values_.empty(); }

 private:
  Status add_bytes(const IndexRef& index, std::string_view packed);
  Status add_projected(const Projection& projection, std::string_view packed);

  std::vector<float> values_;
};

}  // namespace engram
