// SPDX-License-Identifier: Apache-2.0
// Sums of table entries that codes of 4 bits select, for 32 codes at once: the scan of product
// quantisation by shuffles [Andre2017], which is also a scan of signs against a query,
// where an entry is the sum of four of its components [Gao2024, section 3.3].
//
// A code has an even number of *groups* of 4 bits. A block has 32 codes, transposed: for each two
// groups 32 bytes, of which byte i has group g of code i in its lower half and g + 1 in its upper.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/result.h"

namespace engram {

inline constexpr std::size_t kBlockCodes = 32;
inline constexpr std::size_t kGroupBits = 4;
/// Of the table of one group.
inline constexpr std::size_t kGroupEntries = std::size_t{1} << kGroupBits;

/// Bytes of a block. groups: even.
constexpr std::size_t block_bytes(std::size_t groups) noexcept {
  return groups / 2 * kBlockCodes;
}

/// Group g of code i.
inline unsigned group_at(const std::byte* block, std::size_t i, std::size_t g) noexcept {
  const auto byte = std::to_integer<unsigned>(block[g / 2 * kBlockCodes + i]);
  return g % 2 == 0 ? byte & 0x0FU : byte >> kGroupBits;
}

/// Makes `bits`, less than 16, group g of code i.
inline void set_group(std::byte* block, std::size_t i, std::size_t g, unsigned bits) noexcept {
  std::byte& byte = block[g / 2 * kBlockCodes + i];
  byte = g % 2 == 0 ? (byte & std::byte{0xF0}) | std::byte(bits)
                    : (byte & std::byte{0x0F}) | std::byte(bits << kGroupBits);
}

/// sums[i] = sum over g < groups of table[g][group g of code i], for i < 32; exact, and so the same
/// on every instruction set. table: [groups][16]. block, table: of any alignment; no byte beyond
/// them is read. groups: even, at most 2^16. Any thread.
using BlockScan = void (*)(std::size_t groups, const std::byte* block, const std::uint8_t* table,
                           std::int32_t* sums);

/// The scan of the instruction set `name`: as make_kernel() takes it. Errors: as make_kernel().
Result<BlockScan> find_block_scan(std::string_view name);

}  // namespace engram
