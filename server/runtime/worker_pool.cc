// SPDX-License-Identifier: Apache-2.0
#include "server/runtime/worker_pool.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <system_error>
#include <thread>

#include "core/assert.h"
#include "server/runtime/thread_traits.h"

namespace engram {
namespace {

/// A nap gets longer while what is under way would take so many of it.
constexpr std::size_t kNapsAhead = 4;

}  // namespace

WorkerPool::WorkerPool(std::size_t threads, std::function<void()> wake_owner)
    : wake_owner_(std::move(wake_owner)), spins_(threads < std::thread::hardware_concurrency()) {
  ENGRAM_ASSERT(threads >= 1);
  threads_.reserve(threads);
  try {
    for (std::size_t i = 0; i < threads; ++i) {
      threads_.emplace_back([this, i] { work(i); });
    }
  } catch (const std::system_error&) {
    stop();
    throw;
  }
  const std::lock_guard lock(queue_mutex_);
  add_reserve();
}

WorkerPool::~WorkerPool() {
  stop();
}

void WorkerPool::submit(std::unique_ptr<Job> job, Lane lane) {
  if (keeps_) return kept_.push_back(std::move(job));
  if (claimed_ != nullptr && *claimed_ == nullptr && lane == Lane::kInteractive) {
    *claimed_ = std::move(job);
    return;
  }
  ++under_way_;
  enqueue({std::move(job), false}, lane);
}

bool WorkerPool::run_kept() {
  if (kept_.empty()) return false;
  const std::unique_ptr<Job> job = std::move(kept_.front());
  kept_.pop_front();
  if (scratch_ == nullptr) scratch_ = std::make_unique<Scratch>();
  job->run(*scratch_);
  job->done();
  return true;
}

bool WorkerPool::pause(std::chrono::milliseconds most) {
  std::unique_lock lock(queue_mutex_);
  is_paused_ = true;
  return quiet_.wait_for(lock, most, [this] { return at_work_ == 0; });
}

void WorkerPool::resume() {
  {
    const std::lock_guard lock(queue_mutex_);
    is_paused_ = false;
  }
  queue_ready_.notify_all();
  may_be_stuck_.notify_all();
}

void WorkerPool::end_work() {
  --at_work_;
  if (is_paused_ && at_work_ == 0) quiet_.notify_all();
}

void WorkerPool::submit_detached(std::unique_ptr<Job> job) {
  enqueue({std::move(job), true}, Lane::kBulk);
}

void WorkerPool::enqueue(Task task, Lane lane) {
  bool alarm = false;
  {
    const std::lock_guard lock(queue_mutex_);
    ENGRAM_ASSERT(!stopping_);
    std::deque<Task>& queue = lane == Lane::kInteractive ? interactive_
                              : lane == Lane::kBulk      ? bulk_
                                                         : long_;
    queue.push_back(std::move(task));
    is_worth_a_look_.store(true, std::memory_order_relaxed);
    alarm = alarms_watcher();
  }
  queue_ready_.notify_one();
  if (alarm) may_be_stuck_.notify_one();
}

bool WorkerPool::has_task() const noexcept {
  return !is_paused_ && (!interactive_.empty() || !bulk_.empty() || !long_.empty());
}

bool WorkerPool::may_be_stuck_now() const noexcept {
  const bool has_bulk = threads_.size() > 1 && !bulk_.empty();
  return !is_paused_ && (!interactive_.empty() || has_bulk) && busy_ == threads_.size();
}

/// Whether the reserve that watches, and sleeps, is to be notified; once.
bool WorkerPool::alarms_watcher() noexcept {
  return watcher_sleeps_ && may_be_stuck_now() && std::exchange(watcher_sleeps_, false);
}

WorkerPool::Task WorkerPool::take_task() {
  const bool is_other = !bulk_.empty() || !long_.empty();
  const bool takes_other = interactive_.empty() || (is_other && burst_ >= kInteractiveBurst);
  burst_ = takes_other ? 0 : burst_ + 1;
  if (takes_other) long_is_next_ = bulk_.empty() || (long_is_next_ && !long_.empty());
  std::deque<Task>& queue = !takes_other ? interactive_ : long_is_next_ ? long_ : bulk_;
  if (takes_other) long_is_next_ = !long_is_next_;
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
  bool has_worked = false;
  for (;;) {
    Task task;
    bool alarm = false;
    if (spins_) look_for_task();
    {
      std::unique_lock lock(queue_mutex_);
      if (has_worked) {
        --busy_;
        end_work();
      }
      queue_ready_.wait(lock, [this] { return stopping_ || has_task(); });
      if (stopping_) return;
      task = take_task();
      ++taken_;
      ++busy_;
      ++at_work_;
      has_worked = true;
      alarm = alarms_watcher();
    }
    if (alarm) may_be_stuck_.notify_one();
    task.job->run(scratch);
    if (!task.detached) finish(std::move(task.job));
  }
}

/// Where the system allows no more threads, those that there are have to do.
void WorkerPool::add_reserve() {
  const std::size_t number = reserves_.size();
  try {
    reserves_.emplace_back([this, number] { stand_by(number); });
  } catch (const std::system_error&) {
  }
}

/// One reserve watches; before it works, another takes over, or is made.
void WorkerPool::stand_by(std::size_t number) {
  name_this_thread("reserve-" + std::to_string(number));
  yield_to_event_loop();
  Scratch scratch;
  bool has_worked = false;
  for (;;) {
    Task task;
    {
      std::unique_lock lock(queue_mutex_);
      if (has_worked) end_work();
      ++idle_reserves_;
      watch_ends_.wait(lock, [this] { return stopping_ || !is_watched_; });
      --idle_reserves_;
      is_watched_ = true;
      std::deque<Task>* const queue = await_stuck(lock);
      if (queue == nullptr) return;
      task = std::move(queue->front());
      queue->pop_front();
      is_worth_a_look_.store(has_task(), std::memory_order_relaxed);
      is_watched_ = false;
      ++at_work_;
      has_worked = true;
      if (idle_reserves_ == 0 && reserves_.size() < kMostReserves) add_reserve();
    }
    watch_ends_.notify_one();
    task.job->run(scratch);
    if (!task.detached) finish(std::move(task.job));
  }
}

/// The queue to take a task from; null at the end.
std::deque<WorkerPool::Task>* WorkerPool::await_stuck(std::unique_lock<std::mutex>& lock) {
  std::uint64_t taken = taken_;
  std::chrono::milliseconds waited{0};  // since then
  while (!stopping_) {
    while (!stopping_ && !may_be_stuck_now()) {
      watcher_sleeps_ = true;
      may_be_stuck_.wait(lock);
    }
    watcher_sleeps_ = false;
    if (stuck_since_ == taken_ && !interactive_.empty()) return &interactive_;  // still
    if (std::exchange(taken, taken_) != taken_) waited = {};
    may_be_stuck_.wait_for(lock, kStuck, [this] { return stopping_; });
    if (stopping_ || taken_ != taken || !may_be_stuck_now()) continue;
    waited += kStuck;
    stuck_since_ = taken;
    if (!interactive_.empty()) return &interactive_;
    if (waited >= kStuckForBulk) return &bulk_;
  }
  return nullptr;
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
  std::size_t ended = 0;
  {
    const std::lock_guard lock(finished_mutex_);
    owner_naps_ = false;
    ended = finished_.size();
  }
  if (ended * kNapsAhead > under_way_) {
    nap_ = std::max(nap_ / 2, kShortNap);
  } else if (in_full && ended > 0) {
    nap_ = std::min(nap_ * 2, kLongNap);
  } else if (in_full) {
    nap_pays_ = false;
  }
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
  std::deque<Task> dropped[3];
  {
    const std::lock_guard lock(queue_mutex_);
    stopping_ = true;
    is_worth_a_look_.store(true, std::memory_order_relaxed);
    dropped[0].swap(interactive_);
    dropped[1].swap(bulk_);
    dropped[2].swap(long_);
  }
  queue_ready_.notify_all();
  may_be_stuck_.notify_all();
  watch_ends_.notify_all();
  for (std::thread& thread : reserves_) {
    if (thread.joinable()) thread.join();
  }
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
  // A worker that was between two jobs has seen stopping_; nobody else touches this any more.
  finished_.clear();
}

std::size_t WorkerPool::queue_depth() const {
  const std::lock_guard lock(queue_mutex_);
  return interactive_.size() + bulk_.size() + long_.size();
}

}  // namespace engram
