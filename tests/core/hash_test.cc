// SPDX-License-Identifier: Apache-2.0
#include "core/hash.h"

#include <doctest/doctest.h>

#include <limits>

namespace engram::hash_test {
namespace {

TEST_CASE("core/hash: mix is SplitMix64, on every machine") {
  // The first outputs of the generator seeded with 0, as its authors publish them.
  CHECK(mix(0) == 0xe220a8397b1dcdafU);
  CHECK(mix(0x9e3779b97f4a7c15U) == 0x6e789e6aa1b965f4U);
}

TEST_CASE("core/hash: unit_interval never gives 0, and reaches 1") {
  CHECK(unit_interval(0) > 0.0);
  CHECK(unit_interval(std::numeric_limits<std::uint64_t>::max()) == 1.0);
}

}  // namespace
}  // namespace engram::hash_test
