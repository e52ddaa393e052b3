// SPDX-License-Identifier: Apache-2.0
// How a Redis Cluster maps keys to slots, and how the partitions of an index are named so that
// their slots lie evenly.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace engram::router {

inline constexpr std::size_t kSlots = 16384;
inline constexpr std::size_t kMostPartitions = 1024;

/// CRC-16/XMODEM, as the specification of Redis Cluster has it.
std::uint16_t crc16(std::string_view bytes) noexcept;

/// The slot of a key: that of what stands between its first { and the next }, if that is anything.
std::uint16_t slot_of(std::string_view key) noexcept;

/// The hash tag of a partition: "p.i" with the least i whose slot is in the p-th of as many equal
/// ranges as there are partitions (1 to kMostPartitions).
std::string partition_tag(std::size_t partition, std::size_t partitions);

/// The key that holds a partition: index:{tag}:epoch. What has been laid out anew has other keys,
/// so a command that goes by an older layout finds nothing instead of something else.
std::string partition_key(std::string_view index, std::string_view tag, std::uint64_t epoch);

/// The key that says how an index is laid out: index:{index}:meta. Its slot is that of the index's
/// name.
std::string meta_key(std::string_view index);

/// Which of `partitions` holds what is stored under `key`. The same on every machine.
std::size_t partition_of(std::string_view key, std::size_t partitions) noexcept;

}  // namespace engram::router
