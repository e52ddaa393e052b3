// SPDX-License-Identifier: Apache-2.0
#include "server/runtime/worker_pool.h"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "tests/support/no_more_threads.h"

namespace engram::worker_pool_test {
namespace {

/// What the event loop's descriptor is to the server: something to wait for.
class Signal {
 public:
  void notify() {
    const std::lock_guard lock(mutex_);
    ++count_;
    changed_.notify_all();
  }
  void wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return count_ != 0; });
    count_ = 0;
  }
  int count() {
    const std::lock_guard lock(mutex_);
    return count_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int count_ = 0;
};

struct Tally {
  std::atomic<int> run = 0;
  std::atomic<int> destroyed = 0;
  int done = 0;  // by the owner only
};

class CountedJob final : public Job {
 public:
  CountedJob(
      Tally& tally, std::function<void()> body = [] {})
      : tally_(tally), body_(std::move(body)), owner_(std::this_thread::get_id()) {}
  ~CountedJob() override { ++tally_.destroyed; }
  void run(Scratch&) noexcept override {
    body_();
    ++tally_.run;
  }
  void done() noexcept override {
    CHECK(std::this_thread::get_id() == owner_);
    ++tally_.done;
  }

 private:
  Tally& tally_;
  std::function<void()> body_;
  std::thread::id owner_;
};

/// After it the pool knows that jobs end.
void complete_one(WorkerPool& pool, Tally& tally, Signal& signal) {
  pool.submit(std::make_unique<CountedJob>(tally));
  signal.wait();
  pool.poll_completions();
}

TEST_CASE("runtime/worker_pool: kept jobs are the owner's, in their order, whatever their lane") {
  std::vector<int> order;
  Tally tally;
  WorkerPool pool(2, [] {});
  const auto job = [&](int number) {
    const auto owner = std::this_thread::get_id();
    return std::make_unique<CountedJob>(tally, [&order, owner, number] {
      CHECK(std::this_thread::get_id() == owner);
      order.push_back(number);
    });
  };
  pool.keep_jobs(true);
  pool.submit(job(1), Lane::kBulk);
  pool.submit(job(2), Lane::kInteractive);
  pool.submit(job(3), Lane::kLong);
  pool.keep_jobs(false);
  CHECK(pool.is_idle());
  while (pool.run_kept()) {
  }
  CHECK(order == std::vector<int>{1, 2, 3});
  CHECK(tally.done == 3);
  CHECK(tally.destroyed == 3);
}

TEST_CASE("runtime/worker_pool: a pause waits for what runs, and nothing begins before its end") {
  constexpr std::chrono::minutes kAmple{5};
  Tally tally;
  Signal begun;
  Signal may_end;
  Signal ended;
  WorkerPool pool(2, [&] { ended.notify(); });
  pool.submit(std::make_unique<CountedJob>(tally, [&] {
    begun.notify();
    may_end.wait();
  }));
  begun.wait();
  CHECK_FALSE(pool.pause(std::chrono::milliseconds(1)));
  may_end.notify();
  REQUIRE(pool.pause(kAmple));
  CHECK(tally.run == 1);
  ended.wait();
  pool.poll_completions();
  pool.submit(std::make_unique<CountedJob>(tally));
  CHECK(pool.queue_depth() == 1);
  CHECK_FALSE(pool.is_idle());
  pool.resume();
  ended.wait();
  CHECK(pool.poll_completions() == 1);
  CHECK(tally.run == 2);
  CHECK(pool.is_idle());
}

TEST_CASE("runtime/worker_pool: the first interactive job that is claimed is its caller's") {
  Tally mine;
  Tally others;
  Signal signal;
  WorkerPool pool(1, [&] { signal.notify(); });
  std::unique_ptr<Job> job = pool.claim([&] {
    pool.submit(std::make_unique<CountedJob>(others), Lane::kBulk);
    pool.submit(std::make_unique<CountedJob>(mine));
    pool.submit(std::make_unique<CountedJob>(others));
  });
  REQUIRE(job);
  while (others.done < 2) {
    signal.wait();
    pool.poll_completions();
  }
  CHECK(mine.run == 0);
  Scratch scratch;
  job->run(scratch);
  job->done();
  CHECK(mine.done == 1);
  CHECK_FALSE(pool.expects_completion());
  CHECK_FALSE(pool.claim([] {}));
  pool.submit(std::make_unique<CountedJob>(others));
  while (others.done < 3) {
    signal.wait();
    pool.poll_completions();
  }
}

TEST_CASE("runtime/worker_pool: every job is run on a worker and done on the owner, once") {
  constexpr int kJobs = 5000;
  Tally tally;
  Signal signal;
  WorkerPool pool(3, [&] { signal.notify(); });
  for (int i = 0; i < kJobs; ++i) pool.submit(std::make_unique<CountedJob>(tally));
  while (tally.done < kJobs) {
    signal.wait();
    pool.poll_completions();
  }
  CHECK(tally.run == kJobs);
  CHECK(tally.destroyed == kJobs);
  CHECK(pool.queue_depth() == 0);
}

TEST_CASE("runtime/worker_pool: completions that wait together wake the owner once") {
  Tally tally;
  Signal signal;
  WorkerPool pool(1, [&] { signal.notify(); });
  Signal last;
  pool.submit(std::make_unique<CountedJob>(tally));
  pool.submit(std::make_unique<CountedJob>(tally));
  // One worker takes the third job only after the second has been handed over.
  pool.submit_detached(std::make_unique<CountedJob>(tally, [&] { last.notify(); }));
  last.wait();
  CHECK(signal.count() == 1);
  CHECK(pool.poll_completions() == 2);
}

TEST_CASE("runtime/worker_pool: an owner that naps is left alone while there are jobs") {
  Tally tally;
  Signal signal;
  Signal go;
  Signal started;
  Signal end;
  WorkerPool pool(1, [&] { signal.notify(); });
  complete_one(pool, tally, signal);
  pool.submit(std::make_unique<CountedJob>(tally, [&] { go.wait(); }));
  CHECK_FALSE(pool.begin_nap());  // so little is under way that every answer is waited for
  for (int i = 0; i < 8; ++i) pool.submit(std::make_unique<CountedJob>(tally));
  pool.submit(std::make_unique<CountedJob>(tally, [&] {
    started.notify();
    end.wait();
  }));
  REQUIRE(pool.begin_nap());
  go.notify();
  started.wait();
  CHECK(signal.count() == 0);
  SUBCASE("and finds what has ended when it comes back") {
    pool.end_nap(true);
    CHECK_FALSE(pool.begin_nap());
    CHECK(pool.poll_completions() == 9);
    CHECK_FALSE(pool.begin_nap());
    end.notify();
  }
  SUBCASE("and woken when they run out") {
    end.notify();
    signal.wait();
    pool.end_nap(true);
    CHECK(pool.poll_completions() == 10);
    CHECK(signal.count() == 0);
  }
}

TEST_CASE("runtime/worker_pool: the more is under way, the longer its owner naps") {
  Tally tally;
  Signal signal;
  Signal started;
  Signal go;
  WorkerPool pool(1, [&] { signal.notify(); });
  complete_one(pool, tally, signal);
  constexpr int kJobs = 100;
  for (int i = 0; i < kJobs; ++i) {
    pool.submit(std::make_unique<CountedJob>(tally, [&] {
      started.notify();
      go.wait();
    }));
  }
  started.wait();
  const auto end_one = [&] {
    go.notify();
    started.wait();
  };
  std::vector<std::int64_t> naps;
  int left = kJobs;
  while (left > 8) {
    REQUIRE(pool.begin_nap());
    naps.push_back(pool.nap_length().count());
    const int ended = left > 40 ? 1 : 8;
    for (int i = 0; i < ended; ++i) end_one();
    left -= ended;
    pool.end_nap(true);
    pool.poll_completions();
  }
  CHECK(naps.front() == WorkerPool::kShortNap.count());
  CHECK(naps.at(5) == WorkerPool::kLongNap.count());
  CHECK(naps.back() < WorkerPool::kLongNap.count());
  for (; left > 1; --left) end_one();
  go.notify();
}

TEST_CASE("runtime/worker_pool: an owner whose nap found nothing sleeps until it is woken") {
  Tally tally;
  Signal signal;
  Signal go;
  WorkerPool pool(1, [&] { signal.notify(); });
  complete_one(pool, tally, signal);
  for (int i = 0; i < 10; ++i) {
    pool.submit(std::make_unique<CountedJob>(tally, [&] { go.wait(); }));
  }
  REQUIRE(pool.begin_nap());
  pool.end_nap(false);  // a client came
  REQUIRE(pool.begin_nap());
  pool.end_nap(true);
  CHECK(pool.poll_completions() == 0);
  CHECK_FALSE(pool.begin_nap());
  go.notify();
  signal.wait();
  CHECK(pool.poll_completions() == 1);
  CHECK(pool.begin_nap());
  pool.end_nap(true);
  for (int i = 0; i < 9; ++i) {
    go.notify();
    signal.wait();
    pool.poll_completions();
  }
}

TEST_CASE("runtime/worker_pool: a detached job is run and never done") {
  Tally tally;
  {
    Signal ran;
    WorkerPool pool(1, [] {});
    pool.submit_detached(std::make_unique<CountedJob>(tally, [&] { ran.notify(); }));
    ran.wait();
  }
  CHECK(tally.run == 1);
  CHECK(tally.done == 0);
  CHECK(tally.destroyed == 1);
}

TEST_CASE(
    "runtime/worker_pool: when every worker is at long work, short work is done nevertheless") {
  constexpr int kLong = 5;
  constexpr int kShort = 1000;
  std::atomic<bool> may_end = false;
  Tally tally;
  Tally long_tally;
  Signal signal;
  WorkerPool pool(2, [&] { signal.notify(); });
  for (int i = 0; i < kLong; ++i) {
    pool.submit(std::make_unique<CountedJob>(long_tally, [&] { may_end.wait(false); }));
  }
  for (int i = 0; i < kShort; ++i) pool.submit(std::make_unique<CountedJob>(tally));
  while (tally.done < kShort) {
    signal.wait();
    pool.poll_completions();
  }
  CHECK(long_tally.run == 0);
  may_end = true;
  may_end.notify_all();
  while (long_tally.done < kLong) {
    signal.wait();
    pool.poll_completions();
  }
}

TEST_CASE("runtime/worker_pool: where no thread is to be had the reserves that there are go on") {
  std::atomic<bool> may_end = false;
  Tally tally;
  Tally long_tally;
  Signal signal;
  WorkerPool pool(1, [&] { signal.notify(); });
  const test::NoMoreThreads none;
  pool.submit(std::make_unique<CountedJob>(long_tally, [&] { may_end.wait(false); }));
  for (int i = 1; i <= 3; ++i) {
    pool.submit(std::make_unique<CountedJob>(tally));
    while (tally.done < i) {
      signal.wait();
      pool.poll_completions();
    }
  }
  CHECK(long_tally.run == 0);
  may_end = true;
  may_end.notify_all();
}

TEST_CASE(
    "runtime/worker_pool: a reserve leaves bulk to a worker that is alone, and long work to all") {
  std::atomic<bool> may_end = false;
  Tally tally;
  Tally short_tally;
  Signal signal;
  WorkerPool pool(1, [&] { signal.notify(); });
  pool.submit(std::make_unique<CountedJob>(tally, [&] { may_end.wait(false); }));
  pool.submit(std::make_unique<CountedJob>(tally), Lane::kBulk);
  pool.submit(std::make_unique<CountedJob>(tally), Lane::kLong);
  pool.submit(std::make_unique<CountedJob>(short_tally));
  while (short_tally.done == 0) {
    signal.wait();
    pool.poll_completions();
  }
  CHECK(tally.run == 0);
  may_end = true;
  may_end.notify_all();
  while (tally.done < 3) {
    signal.wait();
    pool.poll_completions();
  }
}

TEST_CASE("runtime/worker_pool: stopping lets running jobs end and drops the others") {
  Tally tally;
  Signal started;
  Signal go;
  WorkerPool pool(1, [] {});
  pool.submit(std::make_unique<CountedJob>(tally, [&] {
    started.notify();
    go.wait();
  }));
  for (int i = 0; i < 10; ++i) pool.submit(std::make_unique<CountedJob>(tally));
  started.wait();
  CHECK(pool.queue_depth() == 10);
  std::thread stopper([&] { pool.stop(); });
  // stop() empties the queue before it waits.
  while (pool.queue_depth() != 0) std::this_thread::yield();
  go.notify();
  stopper.join();
  CHECK(tally.run == 1);
  CHECK(tally.done == 0);
  CHECK(tally.destroyed == 11);
  pool.stop();
}

}  // namespace
}  // namespace engram::worker_pool_test
