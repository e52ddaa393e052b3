// SPDX-License-Identifier: Apache-2.0
#include "primitives/flat/coded_vectors.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace engram::flat {
namespace {

/// More than all roundings of ByteProduct::filter's f, relative to the sum of its terms.
constexpr double kFilterError = 0x1p-20;

/// More than underflow can take from a sum of 2^16 products, even where denormals are zeros.
constexpr double kUnderflow = 0x1p-108;

const float* floats_of(const std::byte* bytes) noexcept {
  return reinterpret_cast<const float*>(bytes);
}

double squared_norm(const Code& code) {
  return double{code.scale} * double{code.scale} * double(code.squares);
}

float round_down(double value) {
  return std::nextafter(static_cast<float>(value), -std::numeric_limits<float>::infinity());
}

/// Writes codes as column `member` of [words][members].
void place(std::span<const std::uint8_t> codes, std::size_t words, std::size_t member,
           std::size_t members, std::uint32_t* out) {
  for (std::size_t word = 0; word < words; ++word) {
    std::memcpy(&out[word * members + member], &codes[word * kWordBytes], kWordBytes);
  }
}

}  // namespace

void CodedQueries::assign(const ByteProduct& product, const CodedShape& shape,
                          std::span<const Query> queries) {
  is_l2_ = shape.metric == Metric::kL2;
  tile_queries_ = product.tile_queries;
  words_ = shape.words();
  const double terms = static_cast<double>(shape.centre.size()) + 8;
  gamma_ = terms * 0x1p-24 / (1 - terms * 0x1p-24);
  const std::size_t count = round_up(queries.size(), tile_queries_);
  resize(count);
  auto* const out = reinterpret_cast<std::uint32_t*>(codes_.reserve(count * words_ * kWordBytes));
  std::memset(out, 0, count * words_ * kWordBytes);
  words_of_tiles_ = out;
  bytes_.resize(shape.centre.size());
  for (std::size_t i = 0; i < queries.size(); ++i) {
    const float* const query = floats_of(queries[i].data);
    const Code code = product.encode(query, shape.centre.data(), query, shape.centre.size(),
                                     kQueryLimit, 0, bytes_.data());
    const std::size_t member = i % tile_queries_;
    place(bytes_, words_, member, tile_queries_, out + (i - member) * words_);
    norms_[i] = {std::sqrt(squared_norm(code)), double{code.error}};
    start_[i] = -product.row_zero * code.sum;
    scale_[i] = is_l2_ ? 2 * code.scale : code.scale;
    offset_weight_[i] = is_l2_ ? 1.0F : code.error;
  }
}

void CodedQueries::resize(std::size_t count) {
  norms_.assign(count, {});
  start_.assign(count, 0);
  scale_.assign(count, 0);
  error_weight_.assign(count, 0);
  offset_weight_.assign(count, 0);
  cut_.assign(count, std::numeric_limits<float>::infinity());
}

void CodedQueries::set_threshold(std::size_t i, float threshold, const Extent& rows) {
  if (is_l2_) {
    set_distance_cut(i, squared_distance(threshold), rows);
  } else {
    set_product_cut(i, double{threshold}, rows);
  }
}

void CodedQueries::set_distance_cut(std::size_t i, double threshold, const Extent& rows) {
  const Norms& query = norms_[i];
  // The farthest that the coded query and a row can be apart, but for the row's error.
  const double reach = std::sqrt((threshold + kUnderflow) / (1 - gamma_)) + query.error;
  const double magnitude = query.coded + reach + rows.norm + rows.error;
  const double slack = kFilterError * magnitude * magnitude + kUnderflow;
  error_weight_[i] = static_cast<float>(2 * reach);
  cut_[i] = round_down(query.coded * query.coded - reach * reach - slack);
}

void CodedQueries::set_product_cut(std::size_t i, double threshold, const Extent& rows) {
  const double norm = norms_[i].coded + norms_[i].error;
  const double slack = (gamma_ + kFilterError) * norm * (rows.norm + rows.error) + kUnderflow;
  error_weight_[i] = static_cast<float>(norm);
  cut_[i] = round_down(-threshold - slack);
}

QueryTile CodedQueries::tile(std::size_t begin) const noexcept {
  return {.codes = words_of_tiles_ + begin * words_,
          .start = &start_[begin],
          .scale = &scale_[begin],
          .error_weight = &error_weight_[begin],
          .offset_weight = &offset_weight_[begin],
          .cut = &cut_[begin]};
}

void CodedRows::assign(const ByteProduct& product, const CodedShape& shape,
                       const VectorStore& store, std::span<const Slot> slots) {
  words_ = shape.words();
  const std::size_t count = round_up(slots.size(), product.panel_rows);
  scale_.assign(count, 0);
  error_.assign(count, 0);
  offset_.assign(count, 0);
  auto* const out = reinterpret_cast<std::uint32_t*>(codes_.reserve(count * words_ * kWordBytes));
  words_of_panels_ = out;
  bytes_.resize(shape.centre.size());
  extent_ = {};
  for (std::size_t i = 0; i < slots.size(); ++i) {
    const float* const next = floats_of(store.row(slots[std::min(i + 1, slots.size() - 1)]));
    const Code code =
        product.encode(floats_of(store.row(slots[i])), shape.centre.data(), next,
                       shape.centre.size(), product.row_limit, product.row_zero, bytes_.data());
    const std::size_t member = i % product.panel_rows;
    place(bytes_, words_, member, product.panel_rows, out + (i - member) * words_);
    const double square = squared_norm(code);
    const double error = double{code.error};
    scale_[i] = code.scale;
    error_[i] = code.error;
    const bool is_l2 = shape.metric == Metric::kL2;
    offset_[i] = static_cast<float>(is_l2 ? error * error - square : std::sqrt(square));
    extent_.norm = std::max(extent_.norm, std::sqrt(square));
    extent_.error = std::max(extent_.error, error);
  }
}

RowPanel CodedRows::panel(std::size_t begin) const noexcept {
  return {.codes = words_of_panels_ + begin * words_,
          .scale = &scale_[begin],
          .error = &error_[begin],
          .offset = &offset_[begin]};
}

}  // namespace engram::flat
