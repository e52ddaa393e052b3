// SPDX-License-Identifier: Apache-2.0
// What is true of up to 64 items, a bit of a word each.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace engram {

/// How many items a filter is asked of at once: the bits of a word.
inline constexpr std::size_t kTogether = 64;

inline std::uint64_t first_bits(std::size_t count) noexcept {
  return count == kTogether ? ~std::uint64_t{0} : (std::uint64_t{1} << count) - 1;
}

/// The bits of those of `count` for which `holds(i)`.
template <class Holds>
std::uint64_t gather_bits(std::size_t count, Holds&& holds) noexcept {
  std::uint64_t bits = 0;
  for (std::size_t i = 0; i < count; ++i) bits |= std::uint64_t{holds(i)} << i;
  return bits;
}

/// The same, where all can be found out side by side.
template <class Holds>
std::uint64_t pack_bits(std::size_t count, Holds&& holds) noexcept {
  std::array<std::uint8_t, kTogether> bytes{};
  for (std::size_t i = 0; i < count; ++i) bytes[i] = holds(i) ? 1 : 0;
  std::uint64_t bits = 0;
  for (std::size_t i = 0; i < kTogether; i += 8) {
    std::uint64_t eight;
    std::memcpy(&eight, &bytes[i], sizeof eight);
    // Each byte's bit comes to its place in the highest byte.
    bits |= (eight * 0x0102040810204080 >> 56) << i;
  }
  return bits;
}

}  // namespace engram
