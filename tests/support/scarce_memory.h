// SPDX-License-Identifier: Apache-2.0
// Allocations that fail when a test says so: those by new (std::nothrow) T[n].
#pragma once

#include <cstddef>

namespace engram::test {

/// As long as it lives, `count` of them succeed and the others fail; under ThreadSanitizer all
/// succeed. One at a time, and no other thread allocates so meanwhile.
class ScarceMemory {
 public:
  explicit ScarceMemory(std::size_t count) noexcept;
  ~ScarceMemory();
  ScarceMemory(const ScarceMemory&) = delete;
  ScarceMemory& operator=(const ScarceMemory&) = delete;
};

}  // namespace engram::test
