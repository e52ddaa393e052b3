// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <utility>
#include <vector>

#include "server/engine/fifo.h"

namespace engram {

/// Knows when everything that was running at some moment has ended, which is when memory that those
/// operations could still see may be reused (the grace period of read-copy-update, McKenney &
/// Slingwine 1998). Because one thread starts all operations and learns of their ends, counting
/// suffices: readers pay nothing. Threads: the event loop's only.
class GracePeriod {
 public:
  /// most_at_once: actions that are run by one call of leave() or after(); those that are due
  /// beyond that wait for the next.
  explicit GracePeriod(std::size_t most_at_once = std::numeric_limits<std::size_t>::max())
      : most_at_once_(most_at_once) {
    epochs_.push({});
  }

  using Ticket = std::uint64_t;

  /// An operation starts. Its ticket is to be given back by leave(), once.
  [[nodiscard]] Ticket enter() {
    ++epochs_.back().running;
    return first_ + epochs_.size() - 1;
  }

  /// An operation has ended. Runs, in the order they came, the actions that waited for it alone.
  void leave(Ticket ticket) {
    --epochs_[ticket - first_].running;
    run_due(most_at_once_);
  }

  /// Runs `action` as soon as every operation that has entered so far has left: now, if none runs.
  void after(std::function<void()> action) {
    epochs_.back().actions.push_back(std::move(action));
    epochs_.push({});
    run_due(most_at_once_);
  }

  /// Whether actions are due.
  [[nodiscard]] bool has_due() const noexcept {
    return epochs_.size() > 1 && epochs_.front().running == 0;
  }
  /// Runs some of them; at most that many, unless one of them defers more.
  void run_due(std::size_t most) {
    // The newest epoch is open: operations may still enter it.
    for (std::size_t left = most; left > 0 && has_due(); --left) {
      const std::vector<std::function<void()>> actions = epochs_.pop().actions;
      ++first_;
      for (const auto& action : actions) action();  // may enter, leave and defer more
    }
  }

 private:
  struct Epoch {
    std::size_t running = 0;
    std::vector<std::function<void()>> actions;  // due when this epoch and all before it are empty
  };

  const std::size_t most_at_once_;
  Fifo<Epoch> epochs_;
  Ticket first_ = 0;  // the ticket of epochs_.front()
};

}  // namespace engram
