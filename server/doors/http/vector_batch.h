// SPDX-License-Identifier: Apache-2.0
// Vectors in binary, as HTTP.md lays them out: what JSON costs is not paid.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "core/result.h"

namespace engram {

inline constexpr std::string_view kBinaryType = "application/octet-stream";

/// Reads the bytes of a batch, which outlive it. Allocates nothing.
class VectorBatch {
 public:
  struct Item {
    std::string_view id;
    std::string_view vector;                        ///< packed little-endian float32
    std::optional<std::string_view> metadata = {};  ///< JSON; nothing: the id keeps what it has
  };

  /// Errors: kInvalidArgument unless the bytes are a batch of at least one item, to the last byte.
  static Result<VectorBatch> read(std::string_view bytes);

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::size_t dim() const noexcept { return dim_; }
  [[nodiscard]] bool has_metadata() const noexcept { return !metadata_lengths_.empty(); }

  /// The next item. To be called size() times.
  Item next();

 private:
  VectorBatch() = default;

  std::size_t size_ = 0;
  std::size_t dim_ = 0;
  // What next() has not taken yet.
  std::string_view id_lengths_ = {};
  std::string_view metadata_lengths_ = {};
  std::string_view vectors_ = {};
  std::string_view ids_ = {};
  std::string_view metadata_ = {};
};

}  // namespace engram
