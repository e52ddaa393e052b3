// SPDX-License-Identifier: Apache-2.0
#include "server/runtime/memory.h"

#include <unistd.h>

#include <cstdint>
#include <fstream>

#ifdef ENGRAM_JEMALLOC
#include <jemalloc/jemalloc.h>
#else
#include <malloc.h>
#endif

#include "core/reserved_memory.h"

namespace engram {

#ifdef ENGRAM_JEMALLOC

#define ENGRAM_TEXT_OF(value) #value
#define ENGRAM_TEXT(value) ENGRAM_TEXT_OF(value)

std::size_t allocated_bytes() {
  // jemalloc answers from a snapshot that advancing the epoch takes anew.
  std::uint64_t epoch = 1;
  std::size_t size = sizeof epoch;
  mallctl("epoch", &epoch, &size, &epoch, size);
  std::size_t allocated = 0;
  size = sizeof allocated;
  mallctl("stats.allocated", &allocated, &size, nullptr, 0);
  return allocated + mapped_bytes();
}

void return_free_memory() {
  constexpr const char* kAllArenas = "arena." ENGRAM_TEXT(MALLCTL_ARENAS_ALL) ".purge";
  mallctl(kAllArenas, nullptr, nullptr, nullptr, 0);
}

std::string_view allocator_name() {
  return "jemalloc-" ENGRAM_TEXT(JEMALLOC_VERSION_MAJOR) "." ENGRAM_TEXT(
      JEMALLOC_VERSION_MINOR) "." ENGRAM_TEXT(JEMALLOC_VERSION_BUGFIX);
}

#else

std::size_t allocated_bytes() {
  const struct mallinfo2 info = ::mallinfo2();
  return info.uordblks + info.hblkhd + mapped_bytes();
}

void return_free_memory() {
  ::malloc_trim(0);
}

std::string_view allocator_name() {
  return "libc";
}

#endif

/// Total and resident pages are the first two numbers of /proc/self/statm.
ProcessMemory process_memory() {
  std::ifstream statm("/proc/self/statm");
  std::size_t total_pages = 0;
  std::size_t resident_pages = 0;
  statm >> total_pages >> resident_pages;
  const auto page_bytes = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  return {total_pages * page_bytes, resident_pages * page_bytes};
}

}  // namespace engram
