// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <new>
#include <utility>

#include "core/result.h"

namespace engram {

/// What `work` returns; or kResourceExhausted where it runs out of memory, and then what it worked
/// on is to be dropped. For a job that gathers as much as it meets: a job may not throw.
template <class Work>
Status within_memory(Work&& work) {
  try {
    return std::forward<Work>(work)();
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::kResourceExhausted, "out of memory");
  }
}

}  // namespace engram
