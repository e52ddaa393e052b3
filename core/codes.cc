// SPDX-License-Identifier: Apache-2.0
#include "core/codes.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <vector>

namespace engram {
namespace {

/// The upper 16 bits of a float32, rounded away from or towards zero.
std::uint16_t upper_half(float value, bool away) noexcept {
  return static_cast<std::uint16_t>((std::bit_cast<std::uint32_t>(value) + (away ? 0xFFFF : 0)) >>
                                    16);
}

/// Whether offset and scale have the precision of float32, or are rounded such that they still span
/// the range.
enum class Precision : std::uint8_t { kFull, kHalf };

/// Rounds to the nearest code. Doubles: the range of two float32 may be none.
class Quantizer {
 public:
  Quantizer(Element element, std::span<const float> values, Precision precision = Precision::kFull)
      : top_(max_code(element)) {
    const auto [least, greatest] = std::minmax_element(values.begin(), values.end());
    const bool is_half = precision == Precision::kHalf;
    offset_ = is_half ? from_upper_half(upper_half(*least, *least < 0)) : *least;
    scale_ = static_cast<float>((double{*greatest} - double{offset_}) / top_);
    if (is_half) scale_ = from_upper_half(upper_half(scale_, true));
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

/// One bit a component.
class Signs {
 public:
  explicit Signs(double magnitude) : magnitude_(static_cast<float>(magnitude)) {}

  float offset() const noexcept { return -magnitude_; }
  float scale() const noexcept { return 2 * magnitude_; }
  static std::uint8_t code(float value) noexcept { return value > 0 ? 1 : 0; }

 private:
  float magnitude_;
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

double square_of_range(std::span<const float> values) {
  const auto [least, greatest] = std::minmax_element(values.begin(), values.end());
  const double range = double{*greatest} - double{*least};
  return range * range;
}

double sum_of_magnitudes(std::span<const float> values) noexcept {
  double sum = 0;
  for (const float value : values) sum += std::abs(double{value});
  return sum;
}

double product(std::span<const float> a, std::span<const float> b) noexcept {
  double sum = 0;
  for (std::size_t j = 0; j < a.size(); ++j) sum += double{a[j]} * double{b[j]};
  return sum;
}

/// The mean's direction; nothing if the mean is zero.
std::vector<float> mean_direction(std::span<const float> rows, std::size_t dim) {
  std::vector<double> sum(dim);
  for (std::size_t i = 0; i < rows.size(); ++i) sum[i % dim] += double{rows[i]};
  double squares = 0;
  for (const double each : sum) squares += each * each;
  std::vector<float> direction;
  if (squares == 0) return direction;
  const double length = std::sqrt(squares);
  for (const double each : sum) direction.push_back(static_cast<float>(each / length));
  return direction;
}

/// Codes `values` into a row whose end is zeros.
CodeHeader write_codes(const Quantizer& quantizer, std::span<const float> values, std::size_t half,
                       std::byte* row) {
  Sums sums(quantizer.offset(), quantizer.scale());
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
  return sums.header();
}

/// Of the vector that a row of signs stands for.
double magnitude_of(Metric metric, std::span<const float> values) noexcept {
  const auto dim = static_cast<double>(values.size());
  if (metric == Metric::kL2) return sum_of_magnitudes(values) / dim;
  return std::sqrt(product(values, values) / dim);
}

/// Of the row whose product with `values` is that of these with themselves.
double estimating_magnitude(std::span<const float> values) noexcept {
  const double sum = sum_of_magnitudes(values);
  return sum == 0 ? 0 : product(values, values) / sum;
}

/// Writes signs into a row of zeros.
CodeHeader write_signs(const Signs& signs, std::span<const float> values, std::byte* row) {
  Sums sums(signs.offset(), signs.scale());
  for (std::size_t j = 0; j < values.size(); ++j) {
    const std::uint8_t code = Signs::code(values[j]);
    row[j / 8] |= std::byte{code} << (j % 8);
    sums.add(code);
  }
  return sums.header();
}

}  // namespace

void encode_codes(Element element, Metric metric, std::span<const float> values, std::byte* row) {
  const std::size_t bytes = row_bytes(element, metric, values.size());
  const std::size_t half = code_bytes(element, values.size());
  CodeHeader header{};
  if (element == Element::kBin) {
    std::memset(row, 0, bytes);
    header = write_signs(Signs(magnitude_of(metric, values)), values, row);
  } else {
    std::memset(row + half, 0, bytes - half);
    header = write_codes(Quantizer(element, values), values, half, row);
  }
  std::memcpy(row + bytes - header_bytes(metric), &header, header_bytes(metric));
}

void encode_along(Element element, Metric metric, std::span<const float> axis,
                  std::span<const float> values, std::byte* row) {
  const std::size_t bytes = row_bytes(element, metric, values.size());
  const std::size_t half = code_bytes(element, values.size());
  std::vector<float> remainder(values.begin(), values.end());
  const double along = split_along(axis, remainder);
  CodeHeader sums{};
  if (element == Element::kBin) {
    const auto magnitude = static_cast<float>(estimating_magnitude(remainder));
    std::memset(row, 0, bytes);
    sums = write_signs(Signs(double{from_upper_half(upper_half(magnitude, true))}), remainder, row);
    sums.squared_norm = static_cast<float>(product(remainder, remainder));
  } else {
    std::memset(row + half, 0, bytes - half);
    sums = write_codes(Quantizer(element, remainder, Precision::kHalf), remainder, half, row);
  }
  const HeaderAlong header{.along = static_cast<float>(along),
                           .offset = upper_half(sums.offset, false),
                           .scale = upper_half(sums.scale, false),
                           .sum = sums.sum,
                           .squared_norm = sums.squared_norm};
  std::memcpy(row + bytes - header_bytes(metric), &header, header_bytes(metric));
}

double split_along(std::span<const float> axis, std::span<float> values) noexcept {
  const double along = product(axis, values);
  for (std::size_t j = 0; j < values.size(); ++j) {
    values[j] = static_cast<float>(double{values[j]} - along * double{axis[j]});
  }
  return along;
}

std::vector<float> find_axis(Element element, Metric metric, std::span<const float> rows,
                             std::size_t dim) {
  constexpr double kWorth = 4;        // half the error is a quarter of its square
  constexpr double kCancelled = 256;  // of the squares, or more
  std::vector<float> axis = mean_direction(rows, dim);
  if (axis.empty() || element == Element::kBin) return axis;
  double ranges = 0;
  double ranges_of_remainders = 0;
  double squares = 0;
  double squares_of_remainders = 0;
  std::vector<float> remainder(dim);
  for (std::size_t i = 0; i < rows.size(); i += dim) {
    const std::span<const float> row = rows.subspan(i, dim);
    remainder.assign(row.begin(), row.end());
    const double along = split_along(axis, remainder);
    ranges += square_of_range(row);
    ranges_of_remainders += square_of_range(remainder);
    squares += along * along;
    squares_of_remainders += product(remainder, remainder);
  }
  const bool is_finer = ranges > kWorth * ranges_of_remainders;
  const bool cancels = metric == Metric::kL2 && squares > kCancelled * squares_of_remainders;
  if (!is_finer && !cancels) axis.clear();
  return axis;
}

void decode_codes(Element element, Metric metric, const std::byte* row, std::span<float> values) {
  const std::size_t half = code_bytes(element, values.size());
  const CodeHeader header = read_header(row, row_bytes(element, metric, values.size()), metric);
  const std::byte mask = element == Element::kSq8 ? std::byte{0xFF} : std::byte{0x0F};
  if (element == Element::kBin) {
    const float values_of_signs[] = {header.offset, header.offset + header.scale};
    for (std::size_t j = 0; j < values.size(); ++j) values[j] = values_of_signs[sign_at(row, j)];
    return;
  }
  const auto value = [&](std::byte code) {
    return header.offset + header.scale * static_cast<float>(std::to_integer<unsigned>(code));
  };
  for (std::size_t j = 0; j < half; ++j) values[j] = value(row[j] & mask);
  for (std::size_t j = half; j < values.size(); ++j) values[j] = value(row[j - half] >> 4);
}

}  // namespace engram
