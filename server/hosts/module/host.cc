// SPDX-License-Identifier: Apache-2.0
#include "server/hosts/module/host.h"

#include <poll.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "server/commands/table.h"
#include "server/runtime/log.h"
#include "server/runtime/process.h"

namespace engram::host {
namespace {

/// No job should take so long; a recall of many thousands of steps may. A snapshot can wait.
constexpr std::chrono::milliseconds kLongestForkWait{2000};

Host* instance = nullptr;

}  // namespace

Host& the_host() noexcept {
  return *instance;
}

bool has_host() noexcept {
  return instance != nullptr;
}

/// It is never destroyed: the process ends with the values that its keys hold.
void set_host(std::unique_ptr<Host> opened) noexcept {
  instance = opened.release();
}

Result<std::unique_ptr<Host>> Host::open(std::size_t workers) {
  auto wake_up = WakeUp::make();
  if (!wake_up) return tl::unexpected(std::move(wake_up.error()));
  std::unique_ptr<Host> opened(new Host(std::move(*wake_up)));
  ENGRAM_TRY(opened->start(workers));
  return opened;
}

Status Host::start(std::size_t workers) {
  auto store = Store::open({.workers = workers}, *this);
  if (!store) return tl::unexpected(std::move(store.error()));
  store_ = std::move(*store);
  store_->keyspace().set_change_sink(&effects_);
  sessions_ = std::make_unique<Sessions>(*store_, server_stats_);
  services_.emplace(Services{*store_, config_, server_stats_, front_end_, *sessions_, *sessions_,
                             command_table()});
  return {};
}

RecoveryContext Host::recovery_context() {
  return {.keyspace = store_->keyspace(),
          .workers = store_->workers(),
          .kernel_name = store_->kernel_name(),
          .wait_for_workers =
              [this] {
                if (!store_->workers().run_kept()) wait();
              },
          .row_files = nullptr};
}

/// A byte may be missed that another thread has just written: it is looked at again soon.
void Host::wait() {
  constexpr int kMostMs = 20;
  pollfd events = {.fd = wake_up_.fd(), .events = POLLIN, .revents = 0};
  if (::poll(&events, 1, kMostMs) > 0) wake_up_.drain();
}

void Host::turn() {
  wake_up_.drain();
  store_->begin_turn(unix_time_ms());
  store_->collect();
  store_->cursors().end_idle(store_->keyspace().now_ms());
}

void Host::run_to_end(const std::function<void()>& begin, const std::function<bool()>& has_ended) {
  WorkerPool& workers = store_->workers();
  const KeptJobs kept(workers);
  begin();
  while (workers.run_kept() || !has_ended()) {
    store_->collect();
    if (!workers.run_kept() && !has_ended()) wait();
  }
}

void Host::run_until_idle() {
  run_to_end([] {}, [this] { return store_->workers().is_idle(); });
}

/// A thread of the server's that frees in the background does so itself.
void Host::let_go(std::shared_ptr<Collection> collection) {
  constexpr std::size_t kFew = 64;
  const bool is_background = std::this_thread::get_id() != main_thread_;
  if (is_background || collection->size() < kFew) return collection.reset();
  store_->dispose(std::move(collection));
}

void Host::adopt(Collection& collection) {
  collection.restart_series(&store_->series());
  collection.set_change_sink(&effects_);
}

void Host::before_fork() {
  const auto begin = std::chrono::steady_clock::now();
  is_quiet_ = store_->workers().pause(kLongestForkWait);
  const auto waited = std::chrono::duration_cast<std::chrono::microseconds>(
      std::chrono::steady_clock::now() - begin);
  ++stats_.forks;
  stats_.longest_fork_wait_us =
      std::max(stats_.longest_fork_wait_us, static_cast<std::uint64_t>(waited.count()));
  if (!is_quiet_) ++stats_.restless_forks;
}

void Host::after_fork_in_parent() {
  store_->workers().resume();
  if (!is_quiet_) {
    log_warning("a worker was at one job for two seconds: the child of this fork cannot save");
  }
}

}  // namespace engram::host
