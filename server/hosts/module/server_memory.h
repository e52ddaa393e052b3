// SPDX-License-Identifier: Apache-2.0
// The memory of the module is the server's: `operator new` is its allocator, and for what the
// engine maps by itself (rows, links) so much is held there and never touched, so that
// used_memory, INFO and maxmemory count it.
#pragma once

#include <cstddef>

namespace engram::host {

/// Counts what is mapped, from now on. Once, when the api is there.
void count_mapped_memory();

// Around a fork, so that no other thread is in the midst of counting.
void lock_mapped_memory();
void unlock_mapped_memory();

}  // namespace engram::host
