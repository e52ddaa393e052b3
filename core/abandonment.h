// SPDX-License-Identifier: Apache-2.0
// Work that nobody waits for any more: its deadline has passed, or who asked has gone.
#pragma once

#include <atomic>
#include <memory>

#include "core/result.h"
#include "core/scratch.h"

namespace engram {

/// True once nobody waits for the work; set by any thread. Null: it is wanted to its end.
using Abandonment = std::shared_ptr<const std::atomic<bool>>;

/// While it lives, what a worker does with `scratch` may be abandoned; `abandonment` outlives it.
class Abandonable {
 public:
  Abandonable(Scratch& scratch, const Abandonment& abandonment)
      : current_(scratch.get<Current>()), outer_(current_) {
    current_.is_abandoned = abandonment.get();
  }
  ~Abandonable() { current_ = outer_; }
  Abandonable(const Abandonable&) = delete;
  Abandonable& operator=(const Abandonable&) = delete;

  /// Whether what is done with `scratch` now has been abandoned. A loop that may take long asks in
  /// each round, and ends with whatever it has: that is thrown away.
  static bool is_abandoned(Scratch& scratch) {
    const std::atomic<bool>* const flag = scratch.get<Current>().is_abandoned;
    return flag != nullptr && flag->load(std::memory_order_relaxed);
  }

  /// The same for who answers. Errors: kUnavailable.
  static Status check(Scratch& scratch) {
    if (!is_abandoned(scratch)) return {};
    return fail(ErrorCode::kUnavailable, "nobody waits for the answer any more");
  }

 private:
  struct Current {
    const std::atomic<bool>* is_abandoned = nullptr;
  };

  Current& current_;
  const Current outer_;
};

}  // namespace engram
