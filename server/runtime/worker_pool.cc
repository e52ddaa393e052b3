// SPDX-License-Identifier: Apache-2.0
#include "server/runtime/worker_pool.h"

#include <iterator>
#include <string>
#include <thread>

#include "core/assert.h"
#include "server/runtime/thread_traits.h"

namespace engram {

WorkerPool::WorkerPool(std::size_t threads, std::function<void()> wake_owner)
    : wake_owner_(std::move(wake_owner)), spins_(threads < std::thread::hardware_concurrency()) {
  ENGRAM_ASSERT(threads >= 1);
  threads_.reserve(threads);
  for (std::size_t i = 0; i < threads; ++i) {
    threads_.emplace_back([this, i] { work(i); });
  }
}

WorkerPool::~WorkerPool() {
  stop();
}

void WorkerPool::submit(std::unique_ptr<Job> job, Lane lane) {
  ++under_way_;
  enqueue({std::move(job), false}, lane);
}

void WorkerPool::submit_detached(std::unique_ptr<Job> job) {
  enqueue({std::move(job), true}, Lane::kBulk);
}

void WorkerPool::enqueue(Task task, Lane lane) {
  {
    const std::lock_guard lock(queue_mutex_);
    ENGRAM_ASSERT(!stopping_);
    (lane == Lane::kInteractive ? interactive_ : bulk_).push_back(std::move(task));
    is_worth_a_look_.store(true, std::memory_order_relaxed);
  }
  queue_ready_.notify_one();
}

bool WorkerPool::has_task() const noexcept {
  return !interactive_.empty() || !bulk_.empty();
}

WorkerPool::Task WorkerPool::take_task() {
  const bool take_bulk = interactive_.empty() || (!bulk_.empty() && burst_ >= kInteractiveBurst);
  burst_ = take_bulk ? 0 : burst_ + 1;
  std::deque<Task>& queue = take_bulk ? bulk_ : interactive_;
  Task task = std::move(queue.front());
  queue.pop_front();
  is_worth_a_look_.store(has_task(), std::memory_order_relaxed);
  return task;
}

/// Returns when there may be a task, or after kPatience.
void WorkerPool::look_for_task() const noexcept {
  using Clock = std::chrono::steady_clock;
  for (const auto end = Clock::now() + kPatience; Clock::now() < end;) {
    if (is_worth_a_look_.load(std::memory_order_relaxed)) return;
  }
}

void WorkerPool::work(std::size_t number) {
  name_this_thread("worker-" + std::to_string(number));
  yield_to_event_loop();
  Scratch scratch;
  for (;;) {
    Task task;
    if (spins_) look_for_task();
    {
      std::unique_lock lock(queue_mutex_);
      queue_ready_.wait(lock, [this] { return stopping_ || has_task(); });
      if (stopping_) return;
      task = take_task();
    }
    task.job->run(scratch);
    if (!task.detached) finish(std::move(task.job));
  }
}

void WorkerPool::finish(std::unique_ptr<Job> job) {
  bool is_awaited = false;
  {
    const std::lock_guard lock(finished_mutex_);
    is_awaited =
        owner_naps_ ? !is_worth_a_look_.load(std::memory_order_relaxed) : finished_.empty();
    finished_.push_back(std::move(job));
  }
  if (is_awaited) wake_owner_();
}

bool WorkerPool::begin_nap() {
  if (!nap_pays_ || under_way_ <= kPlenty * threads_.size()) return false;
  const std::lock_guard lock(finished_mutex_);
  owner_naps_ = finished_.empty();
  return owner_naps_;
}

void WorkerPool::end_nap(bool in_full) {
  const std::lock_guard lock(finished_mutex_);
  owner_naps_ = false;
  if (in_full && finished_.empty()) nap_pays_ = false;
}

std::size_t WorkerPool::poll_completions() {
  {
    const std::lock_guard lock(finished_mutex_);
    polled_.swap(finished_);
  }
  const std::size_t count = polled_.size();
  under_way_ -= count;
  nap_pays_ = nap_pays_ || count > 0;
  for (const std::unique_ptr<Job>& job : polled_) job->done();
  polled_.clear();
  return count;
}

void WorkerPool::stop() {
  std::deque<Task> dropped[2];
  {
    const std::lock_guard lock(queue_mutex_);
    stopping_ = true;
    is_worth_a_look_.store(true, std::memory_order_relaxed);
    dropped[0].swap(interactive_);
    dropped[1].swap(bulk_);
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
  return interactive_.size() + bulk_.size();
}

}  // namespace engram
