// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
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
  GracePeriod() { epochs_.push({}); }

  using Ticket = std::uint64_t;

  /// An operation starts. Its ticket is to be given back by leave(), once.
  [[nodiscard]] Ticket enter() {
    ++epochs_.back().running;
    return first_ + epochs_.size() - 1;
  }

  /// An operation has ended. Runs, in the order they came, the actions that waited for it alone.
  void leave(Ticket ticket) {
    --epochs_[ticket - first_].running;
    run_due();
  }

  /// Runs `action` as soon as every operation that has entered so far has left: now, if none runs.
  void after(std::function<void()> action) {
    epochs_.back().actions.push_back(std::move(action));
    epochs_.push({});
    run_due();
  }

 private:
  struct Epoch {
    std::size_t running = 0;
    std::vector<std::function<void()>> actions;  // due when this epoch and all before it are empty
  };

  void run_due() {
    // The newest epoch is open: operations may still enter it.
    while (epochs_.size() > 1 && epochs_.front().running == 0) {
      const std::vector<std::function<void()>> actions = epochs_.pop().actions;
      ++first_;
      for (const auto& action : actions) action();  // may enter, leave and defer more
    }
  }

  Fifo<Epoch> epochs_;
  Ticket first_ = 0;  // the ticket of epochs_.front()
};

}  // namespace engram
