// SPDX-License-Identifier: Apache-2.0
#include "server/durability/checksum.h"

#include <isa-l/crc.h>

#include <algorithm>

namespace engram {
namespace {

// ISA-L counts bytes in an int.
constexpr std::size_t kMostAtOnce = std::size_t{1} << 30;

}  // namespace

std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t before) noexcept {
  // ISA-L inverts neither what it takes nor what it gives.
  std::uint32_t inverted = ~before;
  while (!bytes.empty()) {
    const std::size_t count = std::min(bytes.size(), kMostAtOnce);
    // It only reads, its parameter lacks the const.
    auto* const data =
        const_cast<unsigned char*>(reinterpret_cast<const unsigned char*>(bytes.data()));
    inverted = ::crc32_iscsi(data, static_cast<int>(count), inverted);
    bytes = bytes.subspan(count);
  }
  return ~inverted;
}

}  // namespace engram
