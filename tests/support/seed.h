// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <random>

namespace engram::test {

/// The seed of this run: ENGRAM_TEST_SEED if it is set, else drawn afresh. main() prints it, so
/// that a failure can be replayed.
std::uint64_t run_seed();

/// A generator for one test case, independent of the order in which cases run.
inline std::mt19937_64 make_rng(std::uint64_t stream) {
  std::seed_seq sequence{run_seed(), run_seed() >> 32, stream};
  return std::mt19937_64(sequence);
}

}  // namespace engram::test
