// SPDX-License-Identifier: Apache-2.0
// The entry of every suite: doctest's own, after announcing the seed.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <cstdio>
#include <cstdlib>

#include "tests/support/seed.h"

namespace engram::test {

std::uint64_t run_seed() {
  static const std::uint64_t seed = [] {
    if (const char* const text = std::getenv("ENGRAM_TEST_SEED")) {
      return static_cast<std::uint64_t>(std::strtoull(text, nullptr, 10));
    }
    return static_cast<std::uint64_t>(std::random_device{}());
  }();
  return seed;
}

}  // namespace engram::test

int main(int argc, char** argv) {
  std::printf("ENGRAM_TEST_SEED=%llu\n", static_cast<unsigned long long>(engram::test::run_seed()));
  return doctest::Context(argc, argv).run();
}
