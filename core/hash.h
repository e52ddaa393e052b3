// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace engram {

/// The finaliser of SplitMix64 (Steele, Lea & Flood 2014): a bijection of 64 bits whose output bits
/// each depend on all input bits. Indexes draw an item's "random" choices from mix(identity ^
/// seed), so that the same items give the same structure on every machine.
constexpr std::uint64_t mix(std::uint64_t x) noexcept {
  x += 0x9e3779b97f4a7c15U;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
  return x ^ (x >> 31);
}

/// A number in (0, 1] from 64 mixed bits; never 0, so that its logarithm is finite.
constexpr double unit_interval(std::uint64_t bits) noexcept {
  return static_cast<double>((bits >> 11) + 1) * 0x1.0p-53;
}

}  // namespace engram
