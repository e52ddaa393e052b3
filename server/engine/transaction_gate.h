// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
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

  /// A write passes the open gate, and is done.
  void enter() noexcept { ++writes_; }
  void leave() {
    if (--writes_ == 0 && when_empty_) std::exchange(when_empty_, {})();
  }

  void close() noexcept {
    ENGRAM_ASSERT(!closed_);
    closed_ = true;
  }

  /// Calls `action` as soon as the writes that have passed the gate, which is closed, are done:
  /// now, or in some later leave().
  void when_empty(std::function<void()> action) {
    if (writes_ == 0) return action();
    when_empty_ = std::move(action);
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
  void abandon_waiting() {
    std::exchange(waiting_, {});
    std::exchange(when_empty_, {});
  }

 private:
  bool closed_ = false;
  std::size_t writes_ = 0;  // under way
  std::function<void()> when_empty_;
  std::vector<std::function<void()>> waiting_;
};

}  // namespace engram
