// SPDX-License-Identifier: Apache-2.0
#include "server/runtime/worker_pool.h"

#include <iterator>
#include <string>

#include "core/assert.h"
#include "server/runtime/thread_traits.h"

namespace engram {

WorkerPool::WorkerPool(std::size_t threads, std::function<void()> wake_owner)
    : wake_owner_(std::move(wake_owner)) {
  ENGRAM_ASSERT(threads >= 1);
  threads_.reserve(threads);
  for (std::size_t i = 0; i < threads; ++i) {
    threads_.emplace_back([this, i] { work(i); });
  }
}

WorkerPool::~WorkerPool() {
  stop();
}

void WorkerPool::submit(std::unique_ptr<Job> job) {
  enqueue({std::move(job), false});
}

void WorkerPool::submit_detached(std::unique_ptr<Job> job) {
  enqueue({std::move(job), true});
}

void WorkerPool::enqueue(Task task) {
  {
    const std::lock_guard lock(queue_mutex_);
    ENGRAM_ASSERT(!stopping_);
    queue_.push_back(std::move(task));
  }
  queue_ready_.notify_one();
}

void WorkerPool::work(std::size_t number) {
  name_this_thread("worker-" + std::to_string(number));
  yield_to_event_loop();
  Scratch scratch;
  for (;;) {
    Task task;
    {
      std::unique_lock lock(queue_mutex_);
      queue_ready_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      if (stopping_) return;
      task = std::move(queue_.front());
      queue_.pop_front();
    }
    task.job->run(scratch);
    if (!task.detached) finish(std::move(task.job));
  }
}

void WorkerPool::finish(std::unique_ptr<Job> job) {
  bool first = false;
  {
    const std::lock_guard lock(finished_mutex_);
    first = finished_.empty();
    finished_.push_back(std::move(job));
  }
  if (first) wake_owner_();
}

std::size_t WorkerPool::poll_completions() {
  {
    const std::lock_guard lock(finished_mutex_);
    polled_.swap(finished_);
  }
  const std::size_t count = polled_.size();
  for (const std::unique_ptr<Job>& job : polled_) job->done();
  polled_.clear();
  return count;
}

void WorkerPool::stop() {
  std::deque<Task> dropped;
  {
    const std::lock_guard lock(queue_mutex_);
    stopping_ = true;
    dropped.swap(queue_);
  }
  queue_ready_.notify_all();
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
  // A worker that was between two jobs has seen stopping_; nobody else touches this any more.
  finished_.clear();
}

std::size_t WorkerPool::queue_depth() const {
  const std::lock_guard lock(queue_mutex_);
  return queue_.size();
}

}  // namespace engram
