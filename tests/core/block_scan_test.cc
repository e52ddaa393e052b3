// SPDX-License-Identifier: Apache-2.0
#include "core/block_scan.h"

#include <doctest/doctest.h>

#include <array>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "core/kernel.h"
#include "tests/support/seed.h"

namespace engram::block_scan_test {
namespace {

constexpr std::size_t kGroupCounts[] = {2, 4, 26, 28, 196, 254, 256, 258, 512, 514, 1026};

using Codes = std::vector<std::array<unsigned, kBlockCodes>>;  // [group][code]

/// In exactly as much memory as they need, so that a sanitizer sees every byte read beyond.
struct Problem {
  Codes codes;
  std::vector<std::byte> block;
  std::vector<std::uint8_t> table;

  Problem(std::size_t groups, unsigned least_entry, std::mt19937_64& rng)
      : codes(groups), block(block_bytes(groups)), table(groups * kGroupEntries) {
    std::uniform_int_distribution<unsigned> group(0, kGroupEntries - 1);
    std::uniform_int_distribution<unsigned> entry(least_entry, 255);
    for (std::size_t g = 0; g < groups; ++g) {
      for (std::size_t i = 0; i < kBlockCodes; ++i) {
        codes[g][i] = group(rng);
        set_group(block.data(), i, g, codes[g][i]);
      }
    }
    for (std::uint8_t& each : table) each = static_cast<std::uint8_t>(entry(rng));
  }

  std::int32_t sum(std::size_t i) const {
    std::int32_t total = 0;
    for (std::size_t g = 0; g < codes.size(); ++g) {
      total += table[g * kGroupEntries + codes[g][i]];
    }
    return total;
  }
};

TEST_CASE("a block gives back its codes") {
  auto rng = test::make_rng(1);
  const Problem problem(28, 0, rng);
  for (std::size_t g = 0; g < problem.codes.size(); ++g) {
    for (std::size_t i = 0; i < kBlockCodes; ++i) {
      CHECK(group_at(problem.block.data(), i, g) == problem.codes[g][i]);
    }
  }
}

TEST_CASE(
    "every instruction set sums up what codes select, though entries are as large as can be") {
  auto rng = test::make_rng(2);
  for (const std::string& name : kernel_names()) {
    CAPTURE(name);
    const auto scan = find_block_scan(name);
    REQUIRE(scan);
    for (const std::size_t groups : kGroupCounts) {
      for (const unsigned least_entry : {0U, 255U}) {
        CAPTURE(groups);
        const Problem problem(groups, least_entry, rng);
        std::array<std::int32_t, kBlockCodes> sums{};
        (*scan)(groups, problem.block.data(), problem.table.data(), sums.data());
        for (std::size_t i = 0; i < kBlockCodes; ++i) CHECK(sums[i] == problem.sum(i));
      }
    }
  }
}

TEST_CASE("an instruction set that is not there is refused by name") {
  const auto scan = find_block_scan("abacus");
  REQUIRE_FALSE(scan);
  CHECK(scan.error().code == ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace engram::block_scan_test
