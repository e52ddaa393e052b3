// SPDX-License-Identifier: Apache-2.0
#include "server/hosts/embedded/store_thread.h"

#include <chrono>
#include <future>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include "server/runtime/process.h"
#include "server/runtime/thread_traits.h"

namespace engram {
namespace {

constexpr std::int64_t kTickMs = 100;

}  // namespace

/// One request and its session: calls of different threads do not wait for each other.
class StoreThread::Call final : private ClientSink {
 public:
  Call(KindOf kind_of, Begin begin, std::promise<Status> done)
      : kind_of_(std::move(kind_of)), begin_(std::move(begin)), done_(std::move(done)) {}

  /// Begins, or waits until it is told to try again. On the store's thread.
  void start(Store& store, Sessions& sessions) {
    store_ = &store;
    ClientSink& sink = *this;
    session_.emplace(sessions, sink);
    progressed();
  }
  [[nodiscard]] bool has_ended() const noexcept { return ended_; }
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
    begun_ = session_->start(kind_of_(*store_),
                             [this](Deferred reply) { begin_(*store_, std::move(reply)); });
  }

  const KindOf kind_of_;
  const Begin begin_;
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
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  wake();
  const std::lock_guard lock(joining_);
  if (thread_.joinable()) thread_.join();
  return closed_;
}

Status StoreThread::call(CommandKind kind, Begin begin) {
  return call([kind](Store&) { return kind; }, std::move(begin));
}

Status StoreThread::call(KindOf kind_of, Begin begin) {
  std::promise<Status> done;
  std::future<Status> outcome = done.get_future();
  {
    const std::lock_guard lock(mutex_);
    if (closing_) return fail(ErrorCode::kUnsupported, "the store is closed");
    posted_.push_back(
        std::make_unique<Call>(std::move(kind_of), std::move(begin), std::move(done)));
  }
  wake();
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
  for (;;) {
    sleep();
    turn();
    if (!calls_.empty()) continue;
    const std::lock_guard lock(mutex_);
    if (closing_ && posted_.empty()) return;
  }
}

/// Waits until it is woken, or something is due. Looks again and again before it sleeps while a
/// worker is about to end what a caller waits for.
void StoreThread::sleep() {
  using Clock = std::chrono::steady_clock;
  if (store_->workers().expects_completion()) {
    const auto end = Clock::now() + WorkerPool::kPatience;
    while (!woken_.load() && Clock::now() < end) std::this_thread::yield();
  }
  const auto is_woken = [this] { return woken_.load(); };
  std::unique_lock lock(mutex_);
  if (const auto longest = store_->longest_sleep()) {
    changed_.wait_for(lock, *longest, is_woken);
  } else {
    changed_.wait(lock, is_woken);
  }
  woken_.store(false);
}

void StoreThread::turn() {
  const std::int64_t now_ms = unix_time_ms();
  store_->begin_turn(now_ms);
  store_->collect();
  sessions_->release_held();
  begin_posted();
  if (resident_) resident_->execute();
  store_->end_turn();
  if (now_ms >= next_tick_ms_ || next_tick_ms_ - now_ms > kTickMs) {
    next_tick_ms_ = now_ms + kTickMs;
    store_->save_if_due(snapshots_);
  }
  sessions_->release_held();
  if (resident_) resident_->deliver();
  release_finished();
}

void StoreThread::begin_posted() {
  std::vector<std::unique_ptr<Call>> posted;
  {
    const std::lock_guard lock(mutex_);
    posted.swap(posted_);
  }
  for (auto& call : posted) {
    calls_.push_back(std::move(call));
    calls_.back()->start(*store_, *sessions_);
  }
}

void StoreThread::release_finished() {
  calls_.remove_if([](const std::unique_ptr<Call>& call) {
    if (call->has_ended()) call->release();
    return call->has_ended();
  });
}

}  // namespace engram
