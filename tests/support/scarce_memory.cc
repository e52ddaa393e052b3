// SPDX-License-Identifier: Apache-2.0
#include "tests/support/scarce_memory.h"

#include <atomic>
#include <limits>
#include <new>

namespace engram::test {
namespace {

constexpr std::size_t kPlenty = std::numeric_limits<std::size_t>::max();
std::atomic<std::size_t> allocations_left{kPlenty};

}  // namespace

ScarceMemory::ScarceMemory(std::size_t count) noexcept {
  allocations_left = count;
}
ScarceMemory::~ScarceMemory() {
  allocations_left = kPlenty;
}

}  // namespace engram::test

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define ENGRAM_OPERATORS_ARE_TAKEN  // by ThreadSanitizer
#endif
#endif

#ifndef ENGRAM_OPERATORS_ARE_TAKEN
namespace engram::test {

/// Whether one more succeeds.
static bool take_one() noexcept {
  const std::size_t left = allocations_left.load();
  if (left == kPlenty) return true;
  if (left == 0) return false;
  allocations_left = left - 1;
  return true;
}

}  // namespace engram::test

/// As the standard library's, which deletes what this gives.
void* operator new[](std::size_t bytes, const std::nothrow_t& /*tag*/) noexcept {
  if (!engram::test::take_one()) return nullptr;
  try {
    return operator new[](bytes);
  } catch (...) {
    return nullptr;
  }
}
#endif
