// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string_view>

namespace engram {

/// Bytes the process has allocated and not freed: as the allocator in use counts them, and what
/// vectors and graphs have mapped.
std::size_t allocated_bytes();

/// Gives memory that the allocator keeps for later back to the operating system.
void return_free_memory();

/// Bytes of the process's address space, and those of them that are in physical memory.
struct ProcessMemory {
  std::size_t virtual_bytes = 0;
  std::size_t resident_bytes = 0;
};

/// 0 where the system does not tell.
ProcessMemory process_memory();

/// "jemalloc-5.3.0" or "libc".
std::string_view allocator_name();

}  // namespace engram
