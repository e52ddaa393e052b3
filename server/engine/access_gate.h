// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>

#include "server/engine/fifo.h"

namespace engram {

/// A fair readers-writer gate that never blocks: an operation that may not start yet is kept and
/// started later. This is how a primitive that is not thread-safe is used by many workers.
/// Operations start in the order in which they came. Threads: the event loop's only.
class AccessGate {
 public:
  enum class Access : std::uint8_t { kShared, kExclusive };

  /// Calls `start` once `access` is granted: now, or in some later leave().
  void enter(Access access, std::function<void()> start) {
    waiting_.push({access, std::move(start)});
    admit();
  }

  /// The operation that was started with `access` has ended.
  void leave(Access access) {
    if (access == Access::kShared) {
      --shared_;
    } else {
      exclusive_ = false;
    }
    admit();
  }

  /// Forgets the operations that wait; for shutdown.
  void abandon_waiting() { std::exchange(waiting_, {}); }

 private:
  struct Waiting {
    Access access;
    std::function<void()> start;
  };

  bool may_start(Access access) const noexcept {
    return !exclusive_ && (access == Access::kShared || shared_ == 0);
  }

  void admit() {
    while (!waiting_.empty() && may_start(waiting_.front().access)) {
      const Waiting next = waiting_.pop();
      if (next.access == Access::kShared) {
        ++shared_;
      } else {
        exclusive_ = true;
      }
      next.start();
    }
  }

  Fifo<Waiting> waiting_;
  std::size_t shared_ = 0;  // running
  bool exclusive_ = false;  // one runs
};

}  // namespace engram
