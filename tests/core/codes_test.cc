// SPDX-License-Identifier: Apache-2.0
#include "core/codes.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "tests/support/seed.h"

namespace engram::codes_test {
namespace {

constexpr Element kCodes[] = {Element::kSq8, Element::kSq4, Element::kBin};

std::vector<std::byte> encode(Element element, Metric metric, const std::vector<float>& values) {
  std::vector<std::byte> row(row_bytes(element, metric, values.size()), std::byte{0xEE});
  encode_codes(element, metric, values, row.data());
  return row;
}

std::vector<float> decode(Element element, Metric metric, const std::vector<std::byte>& row,
                          std::size_t dim) {
  std::vector<float> values(dim);
  decode_codes(element, metric, row.data(), values);
  return values;
}

template <class Check>
void for_each_format(Check&& check) {
  for (const Element element : kCodes) {
    for (const Metric metric : kMetrics) {
      CAPTURE(std::string(element_name(element)));
      CAPTURE(std::string(metric_name(metric)));
      check(element, metric);
    }
  }
}

TEST_CASE("core/codes: a component comes back to within half a step of its vector's range") {
  auto rng = test::make_rng(1);
  for_each_format([&](Element element, Metric metric) {
    if (element == Element::kBin) return;
    for (std::size_t dim = 1; dim < 200; ++dim) {
      std::normal_distribution<float> normal(3, 2);
      std::vector<float> values(dim);
      for (float& value : values) value = normal(rng);
      const auto [least, greatest] = std::minmax_element(values.begin(), values.end());
      const double half_step = (double{*greatest} - *least) / max_code(element) / 2;
      const auto decoded = decode(element, metric, encode(element, metric, values), dim);
      std::size_t wrong = dim;
      for (std::size_t j = 0; j < dim; ++j) {
        if (!(std::abs(double{values[j]} - decoded[j]) <= half_step * 1.001 + 1e-6)) wrong = j;
      }
      CAPTURE(dim);
      CHECK(wrong == dim);
    }
  });
}

std::vector<float> normal_vector(std::size_t dim, float mean, std::mt19937_64& rng) {
  std::normal_distribution<float> normal(mean, 2);
  std::vector<float> values(dim);
  for (float& value : values) value = normal(rng);
  return values;
}

TEST_CASE("core/codes: a bit keeps a component's sign, and all the vector's length or mean size") {
  auto rng = test::make_rng(4);
  for (const Metric metric : kMetrics) {
    for (std::size_t dim = 1; dim < 200; ++dim) {
      const std::vector<float> values = normal_vector(dim, 0, rng);
      const auto decoded =
          decode(Element::kBin, metric, encode(Element::kBin, metric, values), dim);
      double size = 0;
      double squares = 0;
      std::size_t right = 0;
      for (std::size_t j = 0; j < dim; ++j) {
        size += std::abs(double{values[j]});
        squares += double{values[j]} * values[j];
        right += static_cast<std::size_t>((values[j] > 0) == (decoded[j] > 0));
      }
      const auto count = static_cast<double>(dim);
      const double expected = metric == Metric::kL2 ? size / count : std::sqrt(squares / count);
      CAPTURE(dim);
      CHECK(right == dim);
      CHECK(std::abs(decoded[0]) == doctest::Approx(expected));
    }
  }
}

TEST_CASE("core/codes: signs along an axis estimate a vector's product with itself as it is") {
  auto rng = test::make_rng(5);
  for (const std::size_t dim : {8UL, 99UL, 384UL}) {
    const std::vector<float> values = normal_vector(dim, 1, rng);
    std::vector<float> remainder = values;
    const std::vector<float> axis(dim, 1 / std::sqrt(static_cast<float>(dim)));
    const double along = split_along(axis, remainder);
    std::vector<std::byte> row(row_bytes(Element::kBin, Metric::kL2, dim));
    encode_along(Element::kBin, Metric::kL2, axis, values, row.data());
    const CodeHeader header = read_header_along(row.data(), row.size(), Metric::kL2);
    double product = 0;
    double squares = 0;
    for (std::size_t j = 0; j < dim; ++j) {
      const double sign = sign_at(row.data(), j) * double{header.scale} + double{header.offset};
      product += sign * remainder[j];
      squares += double{remainder[j]} * remainder[j];
    }
    CAPTURE(dim);
    CHECK(header.along == doctest::Approx(along));
    CHECK(header.squared_norm == doctest::Approx(squares));
    CHECK(product == doctest::Approx(squares).epsilon(0.01));  // m has 8 bits
  }
}

TEST_CASE("core/codes: the header sums up what the codes stand for") {
  auto rng = test::make_rng(2);
  std::uniform_real_distribution<float> uniform(-5, 9);
  for_each_format([&](Element element, Metric metric) {
    std::vector<float> values(131);
    for (float& value : values) value = uniform(rng);
    const auto row = encode(element, metric, values);
    double sum = 0;
    double squares = 0;
    for (const float value : decode(element, metric, row, values.size())) {
      sum += value;
      squares += double{value} * value;
    }
    const CodeHeader header = read_header(row.data(), row.size(), metric);
    CHECK(header.sum == doctest::Approx(sum).epsilon(1e-5));
    CHECK(header.squared_norm ==
          doctest::Approx(metric == Metric::kL2 ? squares : 0).epsilon(1e-5));
  });
}

TEST_CASE("core/codes: bytes in 8 bits, and equal components, lose nothing") {
  auto rng = test::make_rng(3);
  std::uniform_int_distribution<int> byte(0, 255);
  std::vector<float> pixels = {0, 255};
  while (pixels.size() < 784) pixels.push_back(static_cast<float>(byte(rng)));
  CHECK(decode(Element::kSq8, Metric::kL2, encode(Element::kSq8, Metric::kL2, pixels), 784) ==
        pixels);
  for_each_format([&](Element element, Metric metric) {
    for (const float value : {0.0F, -1.25F, 3e-40F, 4e18F}) {
      const std::vector<float> equal(9, value);
      CHECK(decode(element, metric, encode(element, metric, equal), 9) == equal);
    }
  });
}

TEST_CASE("core/codes: the widest and the narrowest range give finite components") {
  const auto most = static_cast<float>(kMaxNorm);
  const float least = std::numeric_limits<float>::denorm_min();
  for_each_format([&](Element element, Metric metric) {
    for (const auto& values : {std::vector<float>{most, -most, 0}, {0, least, 2 * least}}) {
      const float range = values[0] - values[1];
      for (const float value : decode(element, metric, encode(element, metric, values), 3)) {
        CHECK(std::isfinite(value));
        CHECK(std::abs(value) <= std::abs(range));
      }
    }
  });
}

TEST_CASE("core/codes: rows of a hundred components of 4 bits fit in a cache line") {
  CHECK(row_bytes(Element::kSq4, Metric::kCosine, 100) == 64);
  CHECK(row_bytes(Element::kSq8, Metric::kL2, 784) == 832);
  CHECK(row_bytes(Element::kBin, Metric::kCosine, 384) == 64);
  CHECK(row_bytes(Element::kBin, Metric::kL2, 784) == 128);
  CHECK(row_bytes(Element::kSq4, Metric::kL2, 384) == 208);  // four lines wherever it begins
  CHECK(row_bytes(Element::kSq4, Metric::kL2, 768) == 400);
  CHECK(row_bytes(Element::kSq8, Metric::kDot, 128) == 144);
  CHECK(row_bytes(Element::kF32, Metric::kL2, 784) == row_bytes(784));
}

TEST_CASE("core/codes: a row that is no whole line touches as few lines, and has room for loops") {
  for (const Element element : {Element::kSq8, Element::kSq4, Element::kBin}) {
    for (const Metric metric : {Metric::kL2, Metric::kCosine}) {
      for (std::size_t dim = 1; dim <= 9000; ++dim) {
        const std::size_t bytes = row_bytes(element, metric, dim);
        const std::size_t lines = whole_line_row_bytes(element, metric, dim);
        const std::size_t codes = code_bytes(element, dim);
        bool ok = bytes <= lines && bytes >= codes + header_bytes(metric);
        ok = ok && bytes >= round_up(codes, kRowAlignment) && bytes % sizeof(float) == 0;
        for (std::size_t i = 0; i < 64; ++i) {
          const std::size_t first = i * bytes / kRowAlignment;
          const std::size_t last = ((i + 1) * bytes - 1) / kRowAlignment;
          ok = ok && last - first + 1 <= lines / kRowAlignment;
        }
        if (!ok) FAIL(element_name(element) << " of " << dim << ": " << bytes);
      }
    }
  }
}

}  // namespace
}  // namespace engram::codes_test
