// SPDX-License-Identifier: Apache-2.0
// A fixed set of threads that run searches, inserts and the freeing of large values.
//
// Beside the workers there are reserves, asleep. When every worker has been at one job for kStuck
// while an interactive one waits, a reserve takes that; should it be stuck as well, another does,
// up to kMostReserves. So short work is done while others' work takes seconds. A bulk job has to
// wait for kStuckForBulk, and for the worker if there is but one, which keeps the order of writes.
//
// Threads: all but size() and queue_depth() belong to one thread, the owner (the event loop).
// Within a lane, jobs start in the order of their submission. A finished job travels back through
// one vector under a mutex; the owner is woken only when that vector was empty, so a burst of
// completions costs one wake-up, and hardly ever while it naps.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "core/scratch.h"

namespace engram {

/// One unit of work and everything it needs. `run` is called once on a worker, after that `done`
/// once on the owner's thread, where the job is also destroyed. At shutdown a job may be destroyed
/// (on the owner's thread) without having run. Neither may throw.
class Job {
 public:
  Job() = default;
  Job(const Job&) = delete;
  Job& operator=(const Job&) = delete;
  virtual ~Job() = default;

  virtual void run(Scratch& scratch) noexcept = 0;
  virtual void done() noexcept {}
};

/// Which queue a job waits in. Workers prefer the first, so that a search does not wait behind ten
/// thousand inserts, and take one of the others, in turn, after every kInteractiveBurst of the
/// first, so that writes go on under a storm of reads. Jobs that are known to take long wait in the
/// last.
enum class Lane : std::uint8_t { kInteractive, kBulk, kLong };

class WorkerPool {
 public:
  /// Starts `threads` (>= 1) workers. `wake_owner` is called from workers when completions arrive
  /// after there were none, while the owner naps when the jobs run out; it must be thread-safe and
  /// must not block. Throws std::system_error where the system allows no more threads.
  WorkerPool(std::size_t threads, std::function<void()> wake_owner);

  /// Waits for the jobs that are running; those that have not started are destroyed unrun.
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  /// Queues a job whose `done` will be called by poll_completions().
  void submit(std::unique_ptr<Job> job, Lane lane = Lane::kInteractive);

  /// Calls `begin`. The first interactive job that this submits is returned instead of queued: the
  /// caller runs it, on whatever thread, and then calls `done` as the owner.
  template <class Begin>
  std::unique_ptr<Job> claim(Begin&& begin) {
    std::unique_ptr<Job> job;
    const Claim claim(claimed_, job);
    std::forward<Begin>(begin)();
    return job;
  }

  /// Until it is called with false, what is submitted with a completion waits for run_kept(),
  /// whatever its lane: so that the owner does it by itself, in the order of submission, and what
  /// depends on the order is repeatable.
  void keep_jobs(bool keeps) noexcept { keeps_ = keeps; }
  /// Runs the first job that was kept, and calls its `done`. False: there is none.
  bool run_kept();

  /// Keeps workers and reserves from beginning jobs, and waits until none is at one, so that none
  /// holds a lock: before a fork. False: after `most` some are at work still. They may begin again
  /// after resume().
  bool pause(std::chrono::milliseconds most);
  void resume();

  /// Whether no job with a completion has been submitted that was not polled.
  [[nodiscard]] bool is_idle() const noexcept { return under_way_ == 0; }

  /// Queues a bulk job without a completion: it is run and destroyed on the worker; `done` is not
  /// called.
  void submit_detached(std::unique_ptr<Job> job);

  /// Calls `done` of every job that has finished, in the order in which they finished.
  /// Returns how many there were.
  std::size_t poll_completions();

  /// Joins the workers: running jobs finish, the others are dropped. Completions that were not
  /// polled are destroyed without `done`. Idempotent; nothing may be submitted afterwards.
  void stop();

  [[nodiscard]] std::size_t size() const noexcept { return threads_.size(); }

  /// Jobs submitted and not yet started.
  [[nodiscard]] std::size_t queue_depth() const;

  /// Whether the owner had better look for completions for kPatience than sleep at once: few enough
  /// jobs are under way that their clients wait for nothing else.
  [[nodiscard]] bool expects_completion() const noexcept {
    return spins_ && under_way_ > 0 && under_way_ <= threads_.size();
  }

  /// Whether the owner may nap: so much is under way, and ends so often, that it need not be woken
  /// for each completion, which costs a worker some 7 % of a search of 120 µs. If so, completions
  /// wake it until end_nap() only when the workers run out of jobs; it has to come back soon, and
  /// to poll for what has ended.
  [[nodiscard]] bool begin_nap();
  /// How long the nap that has begun may take: from kShortNap to kLongNap, and no more than
  /// about half of the time that all that is under way will take, by what ended in the last nap.
  [[nodiscard]] std::chrono::microseconds nap_length() const noexcept { return nap_; }
  /// in_full: it took its time, and nothing cut it short. If nothing has ended in all of that, the
  /// next completion wakes the owner before it may nap again.
  void end_nap(bool in_full);

  /// How long a thread looks for work before it sleeps.
  static constexpr std::chrono::microseconds kPatience{200};
  static constexpr std::chrono::microseconds kShortNap{200};
  static constexpr std::chrono::microseconds kLongNap{800};
  /// How long all workers may be at one job each before a reserve steps in.
  static constexpr std::chrono::milliseconds kStuck{20};
  static constexpr std::chrono::milliseconds kStuckForBulk{200};

 private:
  struct Task {
    std::unique_ptr<Job> job;
    bool detached = false;
  };

  /// While it lives; `begin` may throw.
  class Claim {
   public:
    Claim(std::unique_ptr<Job>*& claimed, std::unique_ptr<Job>& job) : claimed_(claimed) {
      claimed_ = &job;
    }
    ~Claim() { claimed_ = nullptr; }
    Claim(const Claim&) = delete;
    Claim& operator=(const Claim&) = delete;

   private:
    std::unique_ptr<Job>*& claimed_;
  };

  static constexpr int kInteractiveBurst = 8;
  static constexpr std::size_t kPlenty = 4;  // jobs under way, for each worker
  static constexpr std::size_t kMostReserves = 8;

  void enqueue(Task task, Lane lane);
  void end_work();  // queue_mutex_ held
  // With queue_mutex_ held.
  bool has_task() const noexcept;
  bool may_be_stuck_now() const noexcept;
  bool alarms_watcher() noexcept;
  Task take_task();  // queue_mutex_ held, has_task()
  void look_for_task() const noexcept;
  void work(std::size_t number);
  void stand_by(std::size_t number);
  void add_reserve();  // queue_mutex_ held
  std::deque<Task>* await_stuck(std::unique_lock<std::mutex>& lock);
  void finish(std::unique_ptr<Job> job);

  const std::function<void()> wake_owner_;
  const bool spins_;
  std::size_t under_way_ = 0;  // owner only; submitted with a completion, not yet polled
  std::unique_ptr<Job>* claimed_ = nullptr;  // owner only; in claim(): where the job goes
  bool keeps_ = false;                       // owner only
  std::deque<std::unique_ptr<Job>> kept_;    // owner only
  std::unique_ptr<Scratch> scratch_;         // owner only; of kept jobs
  bool nap_pays_ = false;  // owner only; whether something has ended since one was in vain
  std::chrono::microseconds nap_ = kShortNap;  // owner only
  std::atomic<bool> is_worth_a_look_{false};   // whether there are tasks, or an end
  mutable std::mutex queue_mutex_;
  std::condition_variable queue_ready_;
  std::deque<Task> interactive_;  // queue_mutex_
  std::deque<Task> bulk_;         // queue_mutex_
  std::deque<Task> long_;         // queue_mutex_
  bool long_is_next_ = false;     // queue_mutex_; rather than bulk
  std::size_t busy_ = 0;          // queue_mutex_; workers
  std::size_t at_work_ = 0;       // queue_mutex_; they and reserves
  bool is_paused_ = false;        // queue_mutex_
  std::condition_variable quiet_;
  std::uint64_t taken_ = 0;                   // queue_mutex_; tasks, by workers
  std::optional<std::uint64_t> stuck_since_;  // queue_mutex_; taken_ when the workers were stuck
  std::condition_variable may_be_stuck_;
  std::condition_variable watch_ends_;
  bool is_watched_ = false;            // queue_mutex_; a reserve waits for may_be_stuck_
  bool watcher_sleeps_ = false;        // queue_mutex_; it has to be notified
  std::size_t idle_reserves_ = 0;      // queue_mutex_; that do not watch
  std::vector<std::thread> reserves_;  // queue_mutex_; no more once stopping_
  int burst_ = 0;                      // queue_mutex_; interactive tasks since the last bulk one
  bool stopping_ = false;              // queue_mutex_
  std::mutex finished_mutex_;
  std::vector<std::unique_ptr<Job>> finished_;  // finished_mutex_
  bool owner_naps_ = false;                     // finished_mutex_
  std::vector<std::unique_ptr<Job>> polled_;    // owner only; keeps its capacity between polls
  std::vector<std::thread> threads_;
};

}  // namespace engram
