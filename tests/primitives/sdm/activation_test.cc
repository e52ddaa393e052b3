// SPDX-License-Identifier: Apache-2.0
#include "primitives/sdm/activation.h"

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <cstdint>

#include "primitives/sdm/hard_locations.h"
#include "primitives/shared/signs/signs.h"
#include "tests/support/vectors.h"

namespace engram::test::activation_test {
namespace {

/// Kanerva 1988: of 2^1000 addresses about a thousandth lie within 451 of each.
TEST_CASE("primitives/sdm: Kanerva's radius activates the share that he states") {
  CHECK(std::exp(sdm::log_activation(1000, 451)) == doctest::Approx(0.00107185).epsilon(1e-5));
  CHECK(sdm::choose_radius(1000, 1'000'000) == 451);
}

TEST_CASE("primitives/sdm: the chosen radius is the smallest that activates enough") {
  CHECK(sdm::choose_radius(1, 1) == 1);
  CHECK(sdm::choose_radius(1, 4) == 0);
  CHECK(sdm::choose_radius(5, 4) == 2);  // exactly a half
  CHECK(sdm::choose_radius(8, 1) == 8);
  for (const std::size_t dim : {3U, 64U, 100U, 4096U}) {
    for (const std::size_t locations : {2U, 1000U, 1'000'000U}) {
      CAPTURE(dim);
      CAPTURE(locations);
      const double wanted = -std::log(static_cast<double>(locations)) / 2 - 1e-8;
      const std::size_t radius = sdm::choose_radius(dim, locations);
      CHECK(sdm::log_activation(dim, radius) >= wanted);
      if (radius > 0) CHECK(sdm::log_activation(dim, radius - 1) < wanted);
    }
  }
}

TEST_CASE("primitives/sdm: shares are those of a count over all addresses") {
  constexpr std::size_t kDim = 9;
  for (std::size_t known = 0; known <= kDim; ++known) {
    const std::size_t unknown = kDim - known;
    const unsigned mask = (1U << known) - 1;
    for (std::size_t radius = 0; radius <= kDim; ++radius) {
      const auto shares = sdm::log_joint_activation(known, unknown, radius);
      REQUIRE(shares.size() == known + 1);
      for (std::size_t mismatches = 0; mismatches <= known; ++mismatches) {
        const unsigned item = (1U << mismatches) - 1;  // the state is 0
        double count = 0;
        for (unsigned address = 0; address < 1U << kDim; ++address) {
          const auto from_state = static_cast<std::size_t>(std::popcount(address & mask));
          const auto from_item = static_cast<std::size_t>(std::popcount(address ^ item));
          count += 2 * from_state + unknown <= 2 * radius && from_item <= radius;
        }
        CAPTURE(known);
        CAPTURE(radius);
        CAPTURE(mismatches);
        CHECK(std::exp(shares[mismatches]) == doctest::Approx(count / (1U << kDim)));
      }
    }
  }
}

/// Each count is within 5 standard deviations; addresses are the same in every run.
TEST_CASE("primitives/sdm: shares are those of a count over random locations") {
  constexpr std::size_t kDim = 100;
  constexpr std::size_t kLocations = 200'000;
  constexpr std::size_t kRadius = 45;
  const sdm::HardLocations locations(kDim, kLocations, kRadius, 7);
  const std::vector<float> state(kDim, 1.0F);
  for (const std::size_t known : {kDim, std::size_t{90}}) {
    const std::vector<CoordinateRange> visible{{0, known}};
    const recall::SignState cue({.vector = state, .visible = &visible}, kDim);
    const auto shares = sdm::log_joint_activation(known, kDim - known, kRadius);
    for (const std::size_t mismatches : {0U, 5U, 10U, 20U, 40U}) {
      std::vector<float> item = state;
      std::fill_n(item.begin(), mismatches, -1.0F);
      const recall::SignState of_item({.vector = item}, kDim);
      double count = 0;
      for (std::size_t i = 0; i < kLocations; ++i) {
        count += locations.is_active(i, cue) && locations.is_active(i, of_item);
      }
      CAPTURE(known);
      CAPTURE(mismatches);
      const double expected = kLocations * std::exp(shares[mismatches]);
      CHECK(std::abs(count - expected) <= 5 * std::sqrt(expected));
    }
  }
}

/// Bricken & Pehlevan 2021: about exponential in the distance.
TEST_CASE("primitives/sdm: the share that two have in common falls about exponentially") {
  const auto shares = sdm::log_joint_activation(1000, 0, 451);
  const double slope = (shares[100] - shares[20]) / 80;
  CHECK(slope < 0);
  for (std::size_t distance = 20; distance <= 100; ++distance) {
    const double line = shares[20] + slope * (static_cast<double>(distance) - 20);
    CHECK(std::abs(shares[distance] - line) < 0.3);
  }
}

TEST_CASE("primitives/sdm: shares fall with the distance, whatever the sizes") {
  constexpr std::size_t kDim = 4096;
  for (const std::size_t known : {0U, 1U, 2048U, 4095U, 4096U}) {
    for (const std::size_t radius : {0U, 1U, 1900U, 2048U, 4096U}) {
      CAPTURE(known);
      CAPTURE(radius);
      const auto shares = sdm::log_joint_activation(known, kDim - known, radius);
      CHECK(shares.front() <= 1e-9);
      bool falls = true;
      for (std::size_t i = 1; i < shares.size(); ++i) falls &= shares[i] <= shares[i - 1];
      CHECK(falls);  // nor is there any NaN
    }
  }
}

}  // namespace
}  // namespace engram::test::activation_test
