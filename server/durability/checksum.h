// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace engram {

/// CRC-32C (Castagnoli) of `bytes`, in hardware where there is some. `before`: the checksum of the
/// bytes that come before them.
std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t before = 0) noexcept;

inline constexpr std::size_t kChecksumBytes = sizeof(std::uint32_t);

inline std::uint32_t checksum_of(std::string_view text) noexcept {
  return crc32c(std::as_bytes(std::span(text)));
}

}  // namespace engram
