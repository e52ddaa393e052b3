// SPDX-License-Identifier: Apache-2.0
// Every instruction set's product of bytes against plain loops.
#include "primitives/flat/byte_product.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

#include "tests/support/seed.h"
#include "tests/support/vectors.h"

namespace engram::test::byte_product_test {
namespace {

using flat::ByteProduct;
using flat::Code;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// Random bytes of a tile and a panel, and terms small enough for f to be exact in float32.
struct Pairs {
  Pairs(const ByteProduct& product, std::size_t word_count, Rng& rng) : words(word_count) {
    const std::size_t queries = product.tile_queries;
    const std::size_t rows = product.panel_rows;
    const auto uniform = [&](int low, int high) {
      return low + static_cast<int>(rng() % static_cast<unsigned>(high - low + 1));
    };
    query_codes.resize(words * flat::kWordBytes * queries);
    for (auto& code : query_codes) {
      code = static_cast<std::uint8_t>(uniform(-flat::kQueryLimit, flat::kQueryLimit));
    }
    row_codes.resize(words * flat::kWordBytes * rows);
    for (auto& code : row_codes) {
      const int extreme = rng() % 2 == 0 ? product.row_limit : -product.row_limit;
      const int any = uniform(-product.row_limit, product.row_limit);
      code = static_cast<std::uint8_t>(product.row_zero + (rng() % 2 == 0 ? extreme : any));
    }
    for (std::size_t i = 0; i < queries; ++i) {
      start.push_back(uniform(-1000, 1000));
      for (auto* term : {&scale, &error_weight, &offset_weight}) {
        term->push_back(static_cast<float>(uniform(1, 3)));
      }
      cut.push_back(0);
    }
    for (std::size_t r = 0; r < rows; ++r) {
      for (auto* term : {&row_scale, &row_error, &row_offset}) {
        term->push_back(static_cast<float>(uniform(0, 2)));
      }
    }
  }

  flat::QueryTile tile() const {
    return {reinterpret_cast<const std::uint32_t*>(query_codes.data()),
            start.data(),
            scale.data(),
            error_weight.data(),
            offset_weight.data(),
            cut.data()};
  }

  flat::RowPanel panel() const {
    return {reinterpret_cast<const std::uint32_t*>(row_codes.data()), row_scale.data(),
            row_error.data(), row_offset.data()};
  }

  double f(std::size_t i, std::size_t r) const {
    int sum = start[i];
    for (std::size_t byte = 0; byte < words * flat::kWordBytes; ++byte) {
      const std::size_t word = byte / flat::kWordBytes;
      const std::size_t in_word = byte % flat::kWordBytes;
      const std::size_t q = (word * start.size() + i) * flat::kWordBytes + in_word;
      const std::size_t x = (word * row_scale.size() + r) * flat::kWordBytes + in_word;
      sum += int{static_cast<std::int8_t>(query_codes[q])} * int{row_codes[x]};
    }
    return double{scale[i]} * double{row_scale[r]} * sum +
           double{error_weight[i]} * double{row_error[r]} +
           double{offset_weight[i]} * double{row_offset[r]};
  }

  std::size_t words;
  std::vector<std::uint8_t> query_codes;
  std::vector<std::uint8_t> row_codes;
  std::vector<std::int32_t> start;
  std::vector<float> scale, error_weight, offset_weight, cut;
  std::vector<float> row_scale, row_error, row_offset;
};

TEST_CASE("primitives/flat: every product of bytes filters as a plain loop does") {
  Rng rng = make_rng(44);
  for (const ByteProduct& product : flat::byte_products()) {
    CAPTURE(product.name);
    for (const std::size_t words : {1U, 2U, 7U, 30U}) {
      Pairs pairs(product, words, rng);
      // The value of some row: of the pairs, that one is not below the cut.
      for (std::size_t i = 0; i < product.tile_queries; ++i) {
        pairs.cut[i] = static_cast<float>(pairs.f(i, rng() % product.panel_rows));
      }
      std::vector<std::uint32_t> survivors(product.tile_queries);
      CHECK(product.filter(pairs.tile(), pairs.panel(), words, survivors.data()));
      std::size_t different = 0;
      for (std::size_t i = 0; i < product.tile_queries; ++i) {
        for (std::size_t r = 0; r < product.panel_rows; ++r) {
          const bool expected = pairs.f(i, r) >= double{pairs.cut[i]};
          different += expected != ((survivors[i] >> r & 1) != 0);
        }
      }
      CHECK(different == 0);
      std::fill(pairs.cut.begin(), pairs.cut.end(), kInfinity);
      CHECK_FALSE(product.filter(pairs.tile(), pairs.panel(), words, survivors.data()));
    }
  }
}

TEST_CASE("primitives/flat: codes are as near to their vector as they say") {
  Rng rng = make_rng(45);
  constexpr std::size_t kFloats = 48;
  for (const ByteProduct& product : flat::byte_products()) {
    for (const float size : {0.0F, 1e-42F, 1e-20F, 1e-3F, 1.0F, 1e18F}) {
      CAPTURE(product.name);
      CAPTURE(size);
      Vectors vectors = uniform_vectors(rng, 2, kFloats);
      for (float& value : vectors.values) value *= size;
      std::array<std::uint8_t, kFloats> codes;
      const Code code = product.encode(vectors[0].data(), vectors[1].data(), vectors[0].data(),
                                       kFloats, product.row_limit, product.row_zero, codes.data());
      int sum = 0;
      int squares = 0;
      double error = 0;
      double norm = 0;
      for (std::size_t d = 0; d < kFloats; ++d) {
        const int each = codes[d] - product.row_zero;
        REQUIRE(std::abs(each) <= product.row_limit);
        sum += each;
        squares += each * each;
        const double y = double{vectors[0][d]} - double{vectors[1][d]};
        error += std::pow(y - double{code.scale} * each, 2);
        norm += y * y;
      }
      CHECK(code.sum == sum);
      CHECK(code.squares == squares);
      CHECK(double{code.error} >= std::sqrt(error));
      CHECK(double{code.error} <= std::sqrt(norm) * 0.05 + 0x1p-51);
    }
  }
}

TEST_CASE("primitives/flat: what has no number is coded within the limit and survives") {
  Rng rng = make_rng(46);
  for (const ByteProduct& product : flat::byte_products()) {
    for (const float odd : {std::nanf(""), kInfinity, -kInfinity}) {
      CAPTURE(product.name);
      CAPTURE(odd);
      Vectors vectors = uniform_vectors(rng, 1, 16);
      vectors.values[5] = odd;
      const std::vector<float> centre(16);
      std::array<std::uint8_t, 16> codes;
      const Code code = product.encode(vectors.values.data(), centre.data(), centre.data(), 16,
                                       product.row_limit, product.row_zero, codes.data());
      for (const std::uint8_t each : codes) {
        CHECK(std::abs(each - product.row_zero) <= product.row_limit);
      }
      CHECK_FALSE(std::isfinite(code.error));

      Pairs pairs(product, 4, rng);
      std::fill(pairs.row_error.begin(), pairs.row_error.end(), code.error);
      std::fill(pairs.row_scale.begin(), pairs.row_scale.end(), code.scale);
      std::vector<std::uint32_t> survivors(product.tile_queries);
      CHECK(product.filter(pairs.tile(), pairs.panel(), 4, survivors.data()));
      for (const std::uint32_t bits : survivors) {
        CHECK(static_cast<std::size_t>(std::popcount(bits)) == product.panel_rows);
      }
    }
  }
}

}  // namespace
}  // namespace engram::test::byte_product_test
