// SPDX-License-Identifier: Apache-2.0
// How much of what can be tried everywhere is tried: all of it in the long suites, every so
// many-th place in the quick ones and where a sanitizer makes each take long.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>

namespace engram::test {

/// A whole number from the environment.
inline std::uint64_t environment_number(const char* name, std::uint64_t otherwise) {
  const char* const text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

/// ENGRAM_CRASH_STEP, or 1: every so many-th death, error or damaged bit is tried.
inline std::uint64_t crash_step() {
  return std::max<std::uint64_t>(1, environment_number("ENGRAM_CRASH_STEP", 1));
}

}  // namespace engram::test
