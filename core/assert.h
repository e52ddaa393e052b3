// SPDX-License-Identifier: Apache-2.0
// Assertions state what must hold if our own code is right. They never judge bytes that came from a
// client or a disk: those are checked and answered with an Error.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace engram::detail {

[[noreturn]] inline void assertion_failed(const char* expression, const char* file, int line) {
  std::fprintf(stderr, "engram: assertion failed: %s (%s:%d)\n", expression, file, line);
  std::abort();
}

}  // namespace engram::detail

/// Always on: for facts that cost next to nothing to check.
#define ENGRAM_ASSERT(expression) \
  (static_cast<bool>(expression)  \
       ? static_cast<void>(0)     \
       : ::engram::detail::assertion_failed(#expression, __FILE__, __LINE__))

/// On only in debug builds: for inner loops.
#ifdef NDEBUG
#define ENGRAM_DASSERT(expression) static_cast<void>(0)
#else
#define ENGRAM_DASSERT(expression) ENGRAM_ASSERT(expression)
#endif
