// SPDX-License-Identifier: Apache-2.0
#include "core/row.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "tests/support/seed.h"

namespace engram::row_test {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

std::string refusal(std::vector<float> vector) {
  const Status status = check_vector(vector);
  if (status.has_value()) return "";
  CHECK(status.error().code == ErrorCode::kInvalidArgument);
  return status.error().message;
}

/// A row as floats, and the factor that came with it.
struct Encoded {
  Encoded(Metric metric, const std::vector<float>& vector)
      : row(row_bytes(vector.size()) / sizeof(float), kNaN),
        factor(encode_row(metric, vector, reinterpret_cast<std::byte*>(row.data()))) {}

  std::vector<float> decoded(std::size_t dim) const {
    std::vector<float> vector(dim);
    decode_row(reinterpret_cast<const std::byte*>(row.data()), factor, vector);
    return vector;
  }

  std::vector<float> row;
  float factor;
};

TEST_CASE("core/row: rows are padded to whole cache lines") {
  CHECK(row_bytes(1) == 64);
  CHECK(row_bytes(16) == 64);
  CHECK(row_bytes(17) == 128);
  CHECK(row_bytes(kMaxDimension) == 262'144);
}

TEST_CASE("core/row: NaN and infinity are refused with their position") {
  CHECK(refusal({1, 2, kNaN, 4}) == "vector component 2 is NaN, expected a finite number");
  CHECK(refusal({kInfinity}) == "vector component 0 is infinite, expected a finite number");
  CHECK(refusal({1, -kInfinity}) == "vector component 1 is infinite, expected a finite number");
  for (std::size_t position = 0; position < 40; ++position) {
    std::vector<float> vector(40, 1.0F);
    vector[position] = kNaN;
    CHECK(refusal(vector) ==
          "vector component " + std::to_string(position) + " is NaN, expected a finite number");
  }
}

TEST_CASE("core/row: vectors are admitted up to the longest norm") {
  const auto longest = static_cast<float>(kMaxNorm);
  const std::string too_long = "vector is too long for float32 distances: its norm exceeds 4.6e18";
  CHECK(refusal({longest}).empty());
  CHECK(refusal({-longest, 0}).empty());
  CHECK(refusal({std::nextafter(longest, kInfinity)}) == too_long);
  CHECK(refusal({longest, longest}) == too_long);
  CHECK(refusal({std::numeric_limits<float>::max()}) == too_long);
  CHECK(refusal({0, -0.0F, std::numeric_limits<float>::denorm_min()}).empty());
}

TEST_CASE("core/row: under l2 and dot a row is the vector, padded with zeros") {
  for (const Metric metric : {Metric::kL2, Metric::kDot}) {
    const Encoded encoded(metric, {3, -0.0F, 4});
    CHECK(encoded.factor == 1.0F);
    std::vector<float> expected(16, 0.0F);
    expected[0] = 3;
    expected[1] = -0.0F;
    expected[2] = 4;
    CHECK(std::memcmp(encoded.row.data(), expected.data(), 64) == 0);
  }
}

TEST_CASE("core/row: under cosine a row has norm 1, and the vector comes back from it") {
  auto rng = test::make_rng(20);
  std::normal_distribution<float> normal;
  for (const std::size_t dim : {1U, 2U, 7U, 8U, 9U, 16U, 100U, 1000U}) {
    for (const float scale : {1e-38F, 1e-3F, 1.0F, 1e15F}) {
      CAPTURE(dim);
      CAPTURE(scale);
      std::vector<float> vector(dim);
      for (float& value : vector) value = normal(rng) * scale;
      const Encoded encoded(Metric::kCosine, vector);
      double squared = 0;
      for (const float value : encoded.row) squared += double{value} * double{value};
      CHECK(squared == doctest::Approx(1.0).epsilon(1e-6));
      const std::vector<float> back = encoded.decoded(dim);
      for (std::size_t i = 0; i < dim; ++i) {
        // Three roundings (norm, quotient, product), and one step where numbers are subnormal.
        const double allowed = 0x1.8p-23 * std::abs(double{vector[i]}) + 0x1.0p-149;
        CHECK(std::abs(double{back[i]} - double{vector[i]}) <= allowed);
      }
    }
  }
}

TEST_CASE("core/row: under cosine the smallest and the longest vectors keep their direction") {
  const float smallest = std::numeric_limits<float>::denorm_min();
  CHECK(Encoded(Metric::kCosine, {0, smallest}).row[1] == 1.0F);
  CHECK(Encoded(Metric::kCosine, {0, -static_cast<float>(kMaxNorm)}).row[1] == -1.0F);
}

TEST_CASE("core/row: under cosine a unit vector is stored bit for bit, and zero stays zero") {
  auto rng = test::make_rng(21);
  std::normal_distribution<double> normal;
  for (int repetition = 0; repetition < 100; ++repetition) {
    std::vector<double> direction(50);
    double squared = 0;
    for (double& value : direction) {
      value = normal(rng);
      squared += value * value;
    }
    std::vector<float> unit;
    for (const double value : direction)
      unit.push_back(static_cast<float>(value / std::sqrt(squared)));
    const Encoded encoded(Metric::kCosine, unit);
    CHECK(encoded.factor == 1.0F);
    CHECK(std::memcmp(encoded.row.data(), unit.data(), unit.size() * sizeof(float)) == 0);
  }
  const Encoded zero(Metric::kCosine, {0, 0, 0});
  CHECK(zero.factor == 1.0F);
  CHECK(zero.row == std::vector<float>(16, 0.0F));
}

}  // namespace
}  // namespace engram::row_test
