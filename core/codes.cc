// SPDX-License-Identifier: Apache-2.0
#include "core/codes.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace engram {
namespace {

/// Rounds to the nearest code. Doubles: the range of two float32 may be none.
class Quantizer {
 public:
  Quantizer(Element element, std::span<const float> values) : top_(max_code(element)) {
    const auto [least, greatest] = std::minmax_element(values.begin(), values.end());
    offset_ = *least;
    scale_ = static_cast<float>((double{*greatest} - double{*least}) / top_);
    per_unit_ = scale_ > 0 ? 1 / double{scale_} : 0;
  }

  float offset() const noexcept { return offset_; }
  float scale() const noexcept { return scale_; }

  std::uint8_t code(float value) const noexcept {
    const double position = (double{value} - double{offset_}) * per_unit_ + 0.5;
    return static_cast<std::uint8_t>(std::min(position, top_ + 0.5));
  }

 private:
  double top_;
  float offset_;
  float scale_;
  double per_unit_;
};

/// What the codes stand for, summed up.
class Sums {
 public:
  Sums(float offset, float scale) : offset_(offset), scale_(scale) {}

  void add(std::uint8_t code) noexcept {
    const double value = offset_ + scale_ * code;
    sum_ += value;
    squares_ += value * value;
  }
  CodeHeader header() const noexcept {
    return {static_cast<float>(offset_), static_cast<float>(scale_), static_cast<float>(sum_),
            static_cast<float>(squares_)};
  }

 private:
  double offset_;
  double scale_;
  double sum_ = 0;
  double squares_ = 0;
};

}  // namespace

void encode_codes(Element element, Metric metric, std::span<const float> values, std::byte* row) {
  const std::size_t bytes = row_bytes(element, metric, values.size());
  const std::size_t half = code_bytes(element, values.size());
  const Quantizer quantizer(element, values);
  Sums sums(quantizer.offset(), quantizer.scale());
  std::memset(row + half, 0, bytes - half);
  for (std::size_t j = 0; j < half; ++j) {
    const std::uint8_t code = quantizer.code(values[j]);
    row[j] = std::byte{code};
    sums.add(code);
  }
  for (std::size_t j = half; j < values.size(); ++j) {  // only of sq4: the upper halves of bytes
    const std::uint8_t code = quantizer.code(values[j]);
    row[j - half] |= std::byte{code} << 4;
    sums.add(code);
  }
  const CodeHeader header = sums.header();
  std::memcpy(row + bytes - header_bytes(metric), &header, header_bytes(metric));
}

void decode_codes(Element element, Metric metric, const std::byte* row, std::span<float> values) {
  const std::size_t half = code_bytes(element, values.size());
  const CodeHeader header = read_header(row, row_bytes(element, metric, values.size()), metric);
  const std::byte mask = element == Element::kSq8 ? std::byte{0xFF} : std::byte{0x0F};
  const auto value = [&](std::byte code) {
    return header.offset + header.scale * static_cast<float>(std::to_integer<unsigned>(code));
  };
  for (std::size_t j = 0; j < half; ++j) values[j] = value(row[j] & mask);
  for (std::size_t j = half; j < values.size(); ++j) values[j] = value(row[j - half] >> 4);
}

}  // namespace engram
