// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <utility>

#include "core/result.h"
#include "server/runtime/worker_pool.h"

namespace engram {

/// What recovery has handed to the workers and waits for. Threads: the one that recovers, which is
/// the workers' owner.
class PendingWork {
 public:
  /// `wait` returns when poll_completions() of `workers` has something to do.
  PendingWork(WorkerPool& workers, std::function<void()> wait)
      : workers_(workers), wait_(std::move(wait)) {}

  /// Something begins; what to call with its outcome when it has ended, once. It refers to this.
  [[nodiscard]] std::function<void(Status)> begin() {
    ++running_;
    return [this](Status outcome) {
      --running_;
      if (status_) status_ = std::move(outcome);
    };
  }

  /// Waits until at most so much has not ended. Errors: the first of all outcomes so far.
  Status wait_until_at_most(std::size_t running) {
    while (running_ > running) {
      wait_();
      workers_.poll_completions();
    }
    return status_;
  }
  Status wait_for_all() { return wait_until_at_most(0); }

 private:
  WorkerPool& workers_;
  const std::function<void()> wait_;
  std::size_t running_ = 0;
  Status status_;
};

}  // namespace engram
