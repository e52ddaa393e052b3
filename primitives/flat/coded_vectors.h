// SPDX-License-Identifier: Apache-2.0
// Queries and rows in the form that ByteProduct takes, and the terms of the bound that it tests.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/aligned_buffer.h"
#include "core/index.h"
#include "primitives/flat/byte_product.h"

namespace engram::flat {

/// What coded queries and rows have in common. Borrows the centre: [floats of a row].
struct CodedShape {
  Metric metric;
  std::size_t dim;
  std::span<const float> centre;

  std::size_t words() const noexcept { return (dim + kWordBytes - 1) / kWordBytes; }
};

/// Largest norms of a block of rows: of what their codes stand for, and of their errors.
struct Extent {
  double norm = 0;
  double error = 0;
};

/// The queries of a batch. Memory is kept from batch to batch.
class CodedQueries {
 public:
  void assign(const ByteProduct& product, const CodedShape& shape, std::span<const Query> queries);

  /// Makes the cut of query i such that all rows of a block pass whose score, as the kernel
  /// computes it, may be at most `threshold`.
  void set_threshold(std::size_t i, float threshold, const Extent& rows);

  /// The queries from `begin` on, a multiple of tile_queries. After the last query there is
  /// padding.
  QueryTile tile(std::size_t begin) const noexcept;

 private:
  struct Norms {
    double coded;
    double error;
  };

  void resize(std::size_t count);
  void set_distance_cut(std::size_t i, double threshold, const Extent& rows);
  void set_product_cut(std::size_t i, double threshold, const Extent& rows);

  bool is_l2_ = false;
  std::size_t tile_queries_ = 0;
  std::size_t words_ = 0;
  double gamma_ = 0;  // the kernel's relative error
  AlignedBuffer codes_;
  const std::uint32_t* words_of_tiles_ = nullptr;
  std::vector<std::uint8_t> bytes_;
  std::vector<Norms> norms_;
  std::vector<std::int32_t> start_;
  std::vector<float> scale_;
  std::vector<float> error_weight_;
  std::vector<float> offset_weight_;
  std::vector<float> cut_;
};

/// A block of rows. Memory is kept from block to block.
class CodedRows {
 public:
  void assign(const ByteProduct& product, const CodedShape& shape, const VectorStore& store,
              std::span<const Slot> slots);

  const Extent& extent() const noexcept { return extent_; }

  /// The rows from `begin` on, a multiple of panel_rows. After the last row there is padding.
  RowPanel panel(std::size_t begin) const noexcept;

 private:
  std::size_t words_ = 0;
  AlignedBuffer codes_;
  const std::uint32_t* words_of_panels_ = nullptr;
  std::vector<std::uint8_t> bytes_;
  std::vector<float> scale_;
  std::vector<float> error_;
  std::vector<float> offset_;
  Extent extent_;
};

}  // namespace engram::flat
