// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <utility>
#include <vector>

#include "core/assert.h"

namespace engram {

/// Keeps the writes of everybody else out while one transaction runs, so that what it records is
/// one frame of the journal and nothing comes between its steps. Reads pass. Threads: the loop's
/// only.
class TransactionGate {
 public:
  [[nodiscard]] bool is_closed() const noexcept { return closed_; }

  void close() noexcept {
    ENGRAM_ASSERT(!closed_);
    closed_ = true;
  }

  /// Opens the gate and calls what waits, in order, as long as nothing closes it again.
  void open() {
    ENGRAM_ASSERT(closed_);
    closed_ = false;
    std::vector<std::function<void()>> waiting = std::exchange(waiting_, {});
    auto next = waiting.begin();
    for (; next != waiting.end() && !closed_; ++next) (*next)();
    waiting_.insert(waiting_.begin(), std::make_move_iterator(next),
                    std::make_move_iterator(waiting.end()));
  }

  /// Calls `action` when the gate is open: now, or in some later open().
  void when_open(std::function<void()> action) {
    if (!closed_) return action();
    waiting_.push_back(std::move(action));
  }

  /// Forgets what waits; for shutdown.
  void abandon_waiting() { std::exchange(waiting_, {}); }

 private:
  bool closed_ = false;
  std::vector<std::function<void()>> waiting_;
};

}  // namespace engram
