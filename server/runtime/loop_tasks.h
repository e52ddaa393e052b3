// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace engram {

/// Lets other threads have things done by the event loop, which owns most of what there is.
///
/// Threads: run() and close() belong to the loop, wait_for() and call() to any other thread; post()
/// is for all.
class LoopTasks {
 public:
  using Task = std::function<void()>;

  /// `wake_loop` makes the loop call run() soon; it is thread-safe and does not block.
  explicit LoopTasks(std::function<void()> wake_loop) : wake_loop_(std::move(wake_loop)) {}

  /// Has the loop run `task`, some time later. Nothing happens after close().
  void post(Task task) {
    {
      const std::lock_guard lock(mutex_);
      if (closed_) return;
      tasks_.push_back(std::move(task));
    }
    wake_loop_();
  }

  /// Has the loop run `start` and returns when `start`, or something that it began, has called
  /// `resume` on the loop. False if the loop ended first; `start` may or may not have run then.
  bool wait_for(const std::function<void(Task resume)>& start) {
    // Shared, because it may be resumed after the loop's end was seen.
    const auto resumed = std::make_shared<bool>(false);
    post([this, start, resumed] {
      start([this, resumed] {
        const std::lock_guard lock(mutex_);
        *resumed = true;
        changed_.notify_all();
      });
    });
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return *resumed || closed_; });
    return *resumed;
  }

  /// Has the loop run `task` and returns when it has. False if the loop ended first.
  bool call(const Task& task) {
    return wait_for([&task](const Task& resume) {
      task();
      resume();
    });
  }

  /// Runs what was posted.
  void run() {
    std::vector<Task> tasks;
    {
      const std::lock_guard lock(mutex_);
      tasks.swap(tasks_);
    }
    for (const Task& task : tasks) task();
  }

  /// Ends all waiting; what was posted and has not run never will.
  void close() {
    std::vector<Task> dropped;  // outside of the lock: its end may post
    const std::lock_guard lock(mutex_);
    closed_ = true;
    tasks_.swap(dropped);
    changed_.notify_all();
  }

 private:
  const std::function<void()> wake_loop_;
  std::mutex mutex_;
  std::condition_variable changed_;  // a task has run, or closed_
  std::vector<Task> tasks_;
  bool closed_ = false;
};

}  // namespace engram
