// SPDX-License-Identifier: Apache-2.0
#include "core/kernels/code_kernel.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "core/assert.h"

namespace engram::kernels {
namespace {

CodeShape shape_of(Element element, Metric metric, std::size_t dim) {
  return {.element = element,
          .dim = dim,
          .half = code_bytes(element, dim),
          .line_bytes = round_up(code_bytes(element, dim), kRowAlignment),
          .row_bytes = row_bytes(element, metric, dim)};
}

/// Scores the vectors that codes stand for.
class CodeKernel final : public Kernel {
 public:
  CodeKernel(const CodeLoops& loops, Metric metric, const CodeShape& shape) noexcept
      : name_(loops.name),
        score_(metric == Metric::kL2 ? loops.l2 : loops.dot),
        metric_(metric),
        shape_(shape) {}

  std::string_view name() const noexcept override { return name_; }

  Query prepare(std::span<const float> vector, AlignedBuffer& storage) const override {
    ENGRAM_ASSERT(vector.size() == shape_.dim);
    std::byte* const query = storage.reserve(query_bytes(shape_.dim));
    encode_row(metric_, vector, query);
    return {query};
  }

  Query from_row(const std::byte* row, AlignedBuffer& storage) const override {
    std::byte* const query = storage.reserve(query_bytes(shape_.dim));
    decode_codes(shape_.element, metric_, row, {reinterpret_cast<float*>(query), shape_.dim});
    return {query};
  }

  void gather(Query query, std::span<const std::byte* const> rows,
              std::span<float> out) const noexcept override {
    for (std::size_t i = 0; i < rows.size(); ++i) out[i] = score(query, rows[i]);
  }

  void scan(Query query, const std::byte* rows, std::span<float> out) const noexcept override {
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = score(query, rows + i * shape_.row_bytes);
  }

 private:
  float score(Query query, const std::byte* row) const noexcept {
    const auto* const vector = reinterpret_cast<const float*>(query.data);
    const CodeHeader header = read_header(row, shape_.row_bytes, metric_);
    const float score = score_(shape_, vector, row, header);
    if (metric_ == Metric::kL2 && score < kLeastSquare) return small_score(vector, row, header);
    return score;
  }

  /// The same in double, where float32 loses squares: of the components that decode_codes() gives.
  float small_score(const float* vector, const std::byte* row, CodeHeader header) const noexcept {
    double sum = 0;
    for (std::size_t j = 0; j < shape_.dim; ++j) {
      const float value =
          header.offset + header.scale * static_cast<float>(code_at(shape_, row, j));
      const double difference = double{vector[j]} - double{value};
      sum += difference * difference;
    }
    return l2_score(sum);
  }

  const std::string_view name_;
  const DecodedScore score_;
  const Metric metric_;
  const CodeShape shape_;
};

/// What the plane of a query stands for: see code_kernel.h.
struct PlaneHeader {
  double offset;         ///< b
  double scale;          ///< t
  double sum_of_scaled;  ///< t sum(p)
  double squared_norm;   ///< of y
  double along;          ///< beside y, along the axis
};

/// What is taken from codes to make them signed.
constexpr std::uint8_t kMiddle = 128;

constexpr std::int8_t sign(std::byte code) noexcept {
  return static_cast<std::int8_t>(std::to_integer<std::uint8_t>(code) ^ kMiddle);
}

void sign_codes(const std::byte* codes, std::size_t count, std::int8_t* plane) noexcept {
  for (std::size_t j = 0; j < count; ++j) plane[j] = sign(codes[j]);
}

/// Fills a run of a plane, of `line_bytes`, with `count` signed codes and zeros. code(byte) is what
/// a byte of the row has of this run. Reads the row by whole lines: what is behind the codes is
/// replaced afterwards.
template <class Code>
void sign_lines(const std::byte* row, std::size_t count, std::size_t line_bytes, std::int8_t* plane,
                Code code) noexcept {
  std::array<std::byte, kRowAlignment> line;
  for (std::size_t i = 0; i < line_bytes; i += line.size()) {
    std::memcpy(line.data(), row + i, line.size());
    for (std::size_t j = 0; j < line.size(); ++j) plane[i + j] = sign(code(line[j]));
  }
  std::memset(plane + count, 0, line_bytes - count);
}

/// Spreads the bits of codes of 4 bits over cleared planes. shape: of the rows they will meet.
void spread_bits(const std::byte* codes, const CodeShape& shape, std::int8_t* planes) noexcept {
  const CodeShape coded = shape_of(Element::kSq4, Metric::kL2, shape.dim);
  auto* const bits = reinterpret_cast<std::uint8_t*>(planes);
  for (std::size_t j = 0; j < shape.dim; ++j) {
    const auto code = static_cast<unsigned>(code_at(coded, codes, j));
    for (std::size_t b = 0; b < kBitPlanes; ++b) {
      std::uint8_t& byte = bits[b * shape.line_bytes + j / 8];
      byte = static_cast<std::uint8_t>(byte | (code >> b & 1) << (j % 8));
    }
  }
}

CodeDots dots_of(const CodeLoops& loops, Element element) noexcept {
  if (element == Element::kBin) return loops.dots_bin;
  return element == Element::kSq8 ? loops.dots_sq8 : loops.dots_sq4;
}

/// Compares codes with codes. A query is a plane and its header.
class CodeEstimator final : public Kernel {
 public:
  CodeEstimator(const CodeLoops& loops, Metric metric, const CodeShape& shape,
                std::span<const float> axis)
      : name_(loops.name),
        dots_(dots_of(loops, shape.element)),
        metric_(metric),
        shape_(shape),
        axis_(axis.begin(), axis.end()) {}

  std::string_view name() const noexcept override { return name_; }

  Query prepare(std::span<const float> vector, AlignedBuffer& storage) const override {
    ENGRAM_ASSERT(vector.size() == shape_.dim);
    // Behind the query, for as long as it takes to make it: the vector as a row, and its codes.
    const bool meets_signs = shape_.element == Element::kBin;
    const Element coding = meets_signs ? Element::kSq4 : Element::kSq8;
    const std::size_t coded_bytes = row_bytes(coding, Metric::kL2, shape_.dim);
    std::byte* const query = storage.reserve(query_bytes() + row_bytes(shape_.dim) + coded_bytes);
    std::byte* const row = query + query_bytes();
    std::byte* const coded = row + row_bytes(shape_.dim);
    encode_row(metric_, vector, row);
    const std::span<float> values(reinterpret_cast<float*>(row), shape_.dim);
    const double along = axis_.empty() ? 0 : split_along(axis_, values);
    encode_codes(coding, Metric::kL2, values, coded);
    write_header(query, read_header(coded, coded_bytes, Metric::kL2), along);
    std::int8_t* const plane = clear_plane(query);
    if (meets_signs) {
      spread_bits(coded, shape_, plane);
      return {query};
    }
    sign_codes(coded, shape_.half, plane);
    sign_codes(coded + shape_.half, shape_.dim - shape_.half, plane + shape_.line_bytes);
    return {query};
  }

  Query from_row(const std::byte* row, AlignedBuffer& storage) const override {
    std::byte* const query = storage.reserve(query_bytes());
    const CodeHeader header = header_of(row);
    write_header(query, header, double{header.along});
    auto* const plane = reinterpret_cast<std::int8_t*>(query);
    const std::size_t line = shape_.line_bytes;
    if (shape_.element == Element::kBin) {
      std::memcpy(clear_plane(query), row, shape_.half);
    } else if (shape_.element == Element::kSq8) {
      sign_lines(row, shape_.dim, line, plane, [](std::byte whole) { return whole; });
    } else {
      const auto lower = [](std::byte pair) { return pair & std::byte{0x0F}; };
      const auto upper = [](std::byte pair) { return pair >> 4; };
      sign_lines(row, shape_.half, line, plane, lower);
      sign_lines(row, shape_.dim - shape_.half, line, plane + line, upper);
    }
    return {query};
  }

  void gather(Query query, std::span<const std::byte* const> rows,
              std::span<float> out) const noexcept override {
    PlaneHeader y;
    std::memcpy(&y, query.data + plane_bytes(), sizeof y);
    const auto* const plane = reinterpret_cast<const std::int8_t*>(query.data);
    std::array<std::int32_t, kBatch> dots;
    while (!rows.empty()) {
      const std::size_t count = std::min(kBatch, rows.size());
      dots_(shape_, plane, rows.first(count), dots.data());
      estimate_all(y, rows.first(count), dots.data(), out.data());
      if (is_small(y.squared_norm)) rescore_small(y, plane, rows.first(count), out);
      rows = rows.subspan(count);
      out = out.subspan(count);
    }
  }

  void scan(Query query, const std::byte* rows, std::span<float> out) const noexcept override {
    std::array<const std::byte*, kBatch> pointers;
    while (!out.empty()) {
      const std::size_t count = std::min(kBatch, out.size());
      for (std::size_t i = 0; i < count; ++i) pointers[i] = rows + i * shape_.row_bytes;
      gather(query, {pointers.data(), count}, out.first(count));
      rows += count * shape_.row_bytes;
      out = out.subspan(count);
    }
  }

 private:
  static constexpr std::size_t kBatch = 64;

  std::size_t plane_bytes() const noexcept {
    if (shape_.element == Element::kBin) return shape_.line_bytes * kBitPlanes;
    return shape_.line_bytes * (shape_.element == Element::kSq8 ? 1 : 2);
  }
  std::size_t query_bytes() const noexcept {
    return round_up(plane_bytes() + sizeof(PlaneHeader), kRowAlignment);
  }

  /// What was taken from a query's codes.
  int middle() const noexcept { return shape_.element == Element::kBin ? 0 : kMiddle; }

  CodeHeader header_of(const std::byte* row) const noexcept {
    if (!axis_.empty()) return read_header_along(row, shape_.row_bytes, metric_);
    return read_header(row, shape_.row_bytes, metric_);
  }

  static double product_of(const PlaneHeader& y, const CodeHeader& x, std::int32_t dot) noexcept {
    return y.offset * x.sum + x.offset * y.sum_of_scaled + y.scale * x.scale * dot;
  }

  /// Under `kMetric`, of rows that are coded along an axis or along none: what their headers are is
  /// not asked row by row.
  template <Metric kMetric, bool kAlongAxis>
  void estimate_rows(const PlaneHeader& y, std::span<const std::byte* const> rows,
                     const std::int32_t* dots, float* out) const noexcept {
    const std::size_t row_bytes = shape_.row_bytes;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const CodeHeader x = kAlongAxis ? read_header_along(rows[i], row_bytes, kMetric)
                                      : read_header(rows[i], row_bytes, kMetric);
      double product = product_of(y, x, dots[i]);
      if constexpr (kMetric == Metric::kL2) {
        const double apart = kAlongAxis ? y.along - double{x.along} : 0;
        out[i] = static_cast<float>(apart * apart + x.squared_norm + y.squared_norm - 2 * product);
      } else {
        if (kAlongAxis) product += y.along * x.along;
        out[i] = static_cast<float>(-product);
      }
    }
  }

  void estimate_all(const PlaneHeader& y, std::span<const std::byte* const> rows,
                    const std::int32_t* dots, float* out) const noexcept {
    const bool is_along = !axis_.empty();
    if (metric_ == Metric::kL2) {
      is_along ? estimate_rows<Metric::kL2, true>(y, rows, dots, out)
               : estimate_rows<Metric::kL2, false>(y, rows, dots, out);
    } else {  // cosine's headers are dot's
      is_along ? estimate_rows<Metric::kDot, true>(y, rows, dots, out)
               : estimate_rows<Metric::kDot, false>(y, rows, dots, out);
    }
  }

  /// Whether float32 lost a squared norm, so that there is nothing to subtract from.
  bool is_small(double squared_norm) const noexcept {
    return metric_ == Metric::kL2 && squared_norm < double{kLeastSquare};
  }

  /// Scores again, difference by difference, rows as small as the query: along an axis it is their
  /// remainders that are small.
  void rescore_small(const PlaneHeader& y, const std::int8_t* plane,
                     std::span<const std::byte* const> rows, std::span<float> out) const noexcept {
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const CodeHeader x = header_of(rows[i]);
      if (!is_small(double{x.squared_norm})) continue;
      const double offset = y.offset - middle() * y.scale;
      const double apart = y.along - double{x.along};
      double sum = apart * apart;
      for (std::size_t j = 0; j < shape_.dim; ++j) {
        const double query = offset + y.scale * (plane_at(shape_, plane, j) + middle());
        const double difference =
            query - (x.offset + double{x.scale} * code_at(shape_, rows[i], j));
        sum += difference * difference;
      }
      out[i] = l2_score(sum);
    }
  }

  std::int8_t* clear_plane(std::byte* query) const noexcept {
    std::memset(query, 0, plane_bytes());
    return reinterpret_cast<std::int8_t*>(query);
  }

  /// Behind the plane; `header` is of the codes that the plane is made of.
  void write_header(std::byte* query, const CodeHeader& header, double along) const noexcept {
    const double offset = header.offset + double{header.scale} * middle();
    const PlaneHeader plane_header{
        .offset = offset,
        .scale = header.scale,
        .sum_of_scaled = header.sum - static_cast<double>(shape_.dim) * offset,
        .squared_norm = header.squared_norm,
        .along = along};
    std::memcpy(query + plane_bytes(), &plane_header, sizeof plane_header);
  }

  const std::string_view name_;
  const CodeDots dots_;
  const Metric metric_;
  const CodeShape shape_;
  const std::vector<float> axis_;
};

}  // namespace

std::unique_ptr<Kernel> make_code_kernel(const CodeLoops& loops, Metric metric, std::size_t dim,
                                         Element element) {
  return std::make_unique<CodeKernel>(loops, metric, shape_of(element, metric, dim));
}

std::unique_ptr<Kernel> make_code_estimator(const CodeLoops& loops, Metric metric, std::size_t dim,
                                            Element element, std::span<const float> axis) {
  return std::make_unique<CodeEstimator>(loops, metric, shape_of(element, metric, dim), axis);
}

}  // namespace engram::kernels
