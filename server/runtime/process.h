// SPDX-License-Identifier: Apache-2.0
// What the process asks of the operating system.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "core/result.h"

namespace engram {

/// Raises the limit on open descriptors to what `clients` connections need, or as far as it goes.
/// Returns how many of them fit, which is less than 1 if none does.
std::int64_t reserve_descriptors(std::int64_t clients);

/// Lowers `maxclients` to what the limit on open descriptors leaves room for beside `others`: the
/// system's limit comes first, as in Redis. Returns what is to be logged about that; empty if all
/// fit. Errors: kResourceExhausted if none does.
Result<std::string> fit_clients(std::int64_t& maxclients, std::int64_t others = 0);

/// The absolute path of an existing directory: what is opened there later does not depend on where
/// the process was started. Errors: kIo with the system's reason alone.
Result<std::string> directory_path(const std::string& path);

/// 40 hexadecimal digits from the system's random source.
std::string random_hex_id();

/// 16 bytes from the system's random source, not all zero.
std::array<std::byte, 16> random_id();

/// 64 bits from the system's random source.
std::uint64_t random_seed();

/// The present unix time.
std::int64_t unix_time_us();
inline std::int64_t unix_time_ms() {
  return unix_time_us() / 1000;
}

}  // namespace engram
