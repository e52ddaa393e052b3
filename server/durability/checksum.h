// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace engram {

/// CRC-32C (Castagnoli) of `bytes`, in hardware where there is some. `before`: the checksum of the
/// bytes that come before them.
std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t before = 0) noexcept;

}  // namespace engram
