// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace engram {

/// What Linux knows of this process.
struct ProcessFacts {
  double cpu_seconds = 0;  ///< user and system
  std::uint64_t resident_bytes = 0;
  std::uint64_t virtual_bytes = 0;
  std::uint64_t open_descriptors = 0;
  std::uint64_t most_descriptors = 0;
};

/// Takes some ten microseconds, and on kernels before 6.2 another microsecond for each open
/// descriptor. Any thread.
ProcessFacts process_facts();

}  // namespace engram
