// SPDX-License-Identifier: Apache-2.0
#include "server/hosts/embedded/store_thread.h"

#include <chrono>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include "server/durability/page_faults.h"
#include "server/runtime/process.h"
#include "server/runtime/thread_traits.h"

namespace engram {
namespace {

constexpr std::int64_t kTickMs = 100;
// Callers that work themselves, for each worker. Handing a search to a worker wakes two threads, so
// more of them than there are cores is cheaper; each has buffers of its own, so they are bounded.
constexpr std::size_t kCallersOfWorker = 4;

}  // namespace

/// One request and its session: calls of different threads do not wait for each other.
class StoreThread::Call final : private ClientSink {
 public:
  Call(KindOf kind_of, Begin begin, bool writes_later, std::promise<Status> done)
      : kind_of_(std::move(kind_of)),
        begin_(std::move(begin)),
        writes_later_(writes_later),
        done_(std::move(done)) {}

  /// Begins, or waits until it is told to try again.
  void start(Store& store, Sessions& sessions) {
    store_ = &store;
    ClientSink& sink = *this;
    session_.emplace(sessions, sink);
    progressed();
  }
  [[nodiscard]] bool has_ended() const noexcept { return ended_; }
  [[nodiscard]] CommandKind kind(Store& store) const { return kind_of_(store); }
  /// Lets the caller go on.
  void release() {
    session_.reset();
    done_.set_value(std::move(outcome_));
  }

 private:
  void reply(std::string_view) override { ended_ = true; }
  std::string refusal(const Error& error) override {
    outcome_ = tl::unexpected(error);
    return "refused";
  }
  void progressed() override {
    if (begun_) return;
    begun_ = session_->start(
        kind_of_(*store_), [this](Deferred reply) { begin_(*store_, std::move(reply)); },
        writes_later_);
  }

  const KindOf kind_of_;
  const Begin begin_;
  const bool writes_later_;
  std::promise<Status> done_;
  Store* store_ = nullptr;
  bool begun_ = false;
  bool ended_ = false;
  Status outcome_;
  std::optional<Session> session_;
};

Result<std::unique_ptr<StoreThread>> StoreThread::start(const StoreOptions& options,
                                                        const SnapshotRules& snapshots,
                                                        Settle settle) {
  std::unique_ptr<StoreThread> started(new StoreThread());
  started->snapshots_ = snapshots;
  started->settle_ = std::move(settle);
  std::promise<Status> opened;
  try {
    started->thread_ = std::thread([&options, &opened, thread = started.get()] {
      thread->run(options, [&opened](Status status) { opened.set_value(std::move(status)); });
    });
  } catch (const std::system_error& error) {
    return fail(ErrorCode::kResourceExhausted,
                std::string("cannot start the thread of the store: ") + error.what());
  }
  ENGRAM_TRY(opened.get_future().get());
  return started;
}

StoreThread::~StoreThread() {
  [[maybe_unused]] const Status closed = close();
}

Status StoreThread::close() {
  {
    const std::lock_guard turn(turning_);
    closing_ = true;
  }
  wake();
  const std::lock_guard lock(joining_);
  if (thread_.joinable()) thread_.join();
  return closed_;
}

Status StoreThread::call(CommandKind kind, Begin begin, bool writes_later) {
  return call([kind](Store&) { return kind; }, std::move(begin), writes_later);
}

Status StoreThread::call(KindOf kind_of, Begin begin, bool writes_later) {
  std::promise<Status> done;
  std::future<Status> outcome = done.get_future();
  bool changes = true;
  {
    std::unique_lock turn(turning_);
    if (closing_) return fail(ErrorCode::kUnsupported, "the store is closed");
    const auto call =
        std::make_shared<Call>(std::move(kind_of), std::move(begin), writes_later, std::move(done));
    calls_.push_back(call);
    changes = take_turns(call, turn);
  }
  // Something may be due earlier than the store's thread knows.
  if (changes) wake();
  return outcome.get();
}

void StoreThread::wake() {
  const std::lock_guard lock(mutex_);
  woken_.store(true);
  changed_.notify_one();
}

void StoreThread::wait() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return woken_.load(); });
  woken_.store(false);
}

void StoreThread::run(const StoreOptions& options, const std::function<void(Status)>& opened) {
  name_this_thread("store");
  auto store = Store::open(options, *this);
  if (!store) return opened(tl::unexpected(std::move(store.error())));
  store_ = std::move(*store);
  sessions_ = std::make_unique<Sessions>(*store_, stats_);
  if (settle_) resident_ = settle_(*store_, *sessions_, stats_, *this);
  opened({});
  serve();
  closed_ = store_->close();
  store_->abandon_waiting_operations();
  resident_.reset();
  sessions_.reset();
  store_.reset();
}

void StoreThread::serve() {
  std::unique_lock turn(turning_);
  while (!closing_ || !calls_.empty()) {
    const auto longest = store_->longest_sleep();
    const bool is_patient = store_->workers().expects_completion();
    turn.unlock();
    sleep(longest, is_patient);
    turn.lock();
    begin_turn();
    end_turn();
  }
}

/// Waits until it is woken, or something is due. Looks again and again before it sleeps while a
/// worker is about to end what a caller waits for.
void StoreThread::sleep(std::optional<std::chrono::milliseconds> longest, bool is_patient) {
  using Clock = std::chrono::steady_clock;
  if (is_patient) {
    const auto end = Clock::now() + WorkerPool::kPatience;
    while (!woken_.load() && Clock::now() < end) std::this_thread::yield();
  }
  const auto is_woken = [this] { return woken_.load(); };
  std::unique_lock lock(mutex_);
  if (longest) {
    changed_.wait_for(lock, *longest, is_woken);
  } else {
    changed_.wait(lock, is_woken);
  }
  woken_.store(false);
}

/// Python's faulthandler, for one, may have taken the faults that tell which pages are to be
/// verified.
void StoreThread::begin_turn() {
  keep_fault_handlers();
  store_->begin_turn(unix_time_ms());
  store_->collect();
  sessions_->release_held();
}

void StoreThread::end_turn() {
  if (resident_) resident_->execute();
  store_->end_turn();
  const std::int64_t now_ms = store_->keyspace().now_ms();
  if (now_ms >= next_tick_ms_ || next_tick_ms_ - now_ms > kTickMs) {
    next_tick_ms_ = now_ms + kTickMs;
    store_->save_if_due(snapshots_);
  }
  sessions_->release_held();
  if (resident_) resident_->deliver();
  release_finished();
}

/// Begins the call in a turn. Of a read it does a part itself, each between two turns, unless
/// enough callers do so already. True if the call may have changed something.
bool StoreThread::take_turns(const std::shared_ptr<Call>& call,
                             std::unique_lock<std::mutex>& turn) {
  WorkerPool& workers = store_->workers();
  begin_turn();
  const bool reads = call->kind(*store_) == CommandKind::kRead;
  const bool works = reads && working_callers_ < kCallersOfWorker * workers.size();
  const auto start = [&] { call->start(*store_, *sessions_); };
  std::unique_ptr<Job> job;
  if (works) {
    ++working_callers_;
    job = workers.claim(start);
  } else {
    start();
  }
  end_turn();
  while (job) {
    std::unique_ptr<Scratch> scratch = take_scratch();
    turn.unlock();
    job->run(*scratch);
    turn.lock();
    scratches_.push_back(std::move(scratch));
    begin_turn();
    job = workers.claim([&] { job->done(); });
    // What the end of this one let begin is not this caller's.
    if (job && call->has_ended()) workers.submit(std::exchange(job, nullptr));
    end_turn();
  }
  if (works) --working_callers_;
  return !reads;
}

/// As many as callers that search at once: each has the buffers of a worker.
std::unique_ptr<Scratch> StoreThread::take_scratch() {
  if (scratches_.empty()) return std::make_unique<Scratch>();
  std::unique_ptr<Scratch> scratch = std::move(scratches_.back());
  scratches_.pop_back();
  return scratch;
}

/// When the last one has gone, the store's thread may be waiting for that.
void StoreThread::release_finished() {
  calls_.remove_if([](const std::shared_ptr<Call>& call) {
    if (call->has_ended()) call->release();
    return call->has_ended();
  });
  if (closing_ && calls_.empty()) wake();
}

}  // namespace engram
