// SPDX-License-Identifier: Apache-2.0
#include "server/engine/store.h"

#include <algorithm>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <variant>

#include "core/kernel.h"
#include "server/engine/collection.h"
#include "server/engine/persistence.h"
#include "server/engine/snapshot_job.h"
#include "server/runtime/process.h"

namespace engram {
namespace {

constexpr std::size_t kExpiredPerStep = 32;
constexpr auto kExpiryBudget = std::chrono::microseconds(300);  // per turn
constexpr std::int64_t kMostSleepMs = 1000;  // while keys expire: the wall clock may be set

/// Frees what it holds, on a worker.
class Disposal final : public Job {
 public:
  explicit Disposal(std::shared_ptr<void> garbage) : garbage_(std::move(garbage)) {}
  void run(Scratch&) noexcept override { garbage_.reset(); }

 private:
  std::shared_ptr<void> garbage_;
};

/// Asked now, so that a wrong name is an error of the start and not of every VNEW.
Status check_kernel_name(const std::string& name) {
  const auto kernel = make_kernel(name, Metric::kL2, 1);
  if (!kernel) return tl::unexpected(kernel.error());
  return {};
}

}  // namespace

Result<std::unique_ptr<Store>> Store::open(StoreOptions options, StoreLoop& loop,
                                           FileSystem& disk) {
  ENGRAM_TRY(check_kernel_name(options.kernel));
  if (options.workers == 0) {
    options.workers = std::max(1U, std::thread::hardware_concurrency());
  }
  std::unique_ptr<Store> store;
  try {
    store.reset(new Store(std::move(options), loop));
  } catch (const std::system_error& error) {
    return fail(ErrorCode::kResourceExhausted,
                std::string("cannot start the threads of the workers: ") + error.what());
  }
  if (!store->options_.directory.empty()) ENGRAM_TRY(store->restore(loop, disk));
  return store;
}

Store::Store(StoreOptions options, StoreLoop& loop)
    : options_(std::move(options)),
      loop_(loop),
      keyspace_(random_seed(),
                [this](std::shared_ptr<void> garbage) { dispose(std::move(garbage)); }),
      workers_(options_.workers, [&loop] { loop.wake(); }),
      tasks_([&loop] { loop.wake(); }),
      cursors_(random_seed()) {}

Store::~Store() {
  [[maybe_unused]] const Status closed = close();
}

Status Store::restore(StoreLoop& loop, FileSystem& disk) {
  row_files_.emplace(disk, options_.directory);
  auto persistence = Persistence::open({.disk = disk,
                                        .directory = options_.directory,
                                        .policy = options_.fsync,
                                        .kernel_name = options_.kernel,
                                        .row_files = row_files(),
                                        .keep_previous = options_.keep_previous},
                                       {.keyspace = keyspace_,
                                        .workers = workers_,
                                        .loop = tasks_,
                                        .wake_loop = [&loop] { loop.wake(); },
                                        .wait_for_workers = [&loop] { loop.wait(); }});
  if (!persistence) return tl::unexpected(std::move(persistence.error()));
  persistence_ = std::move(*persistence);
  // What was repeated is no work of clients.
  for (const auto& collection : keyspace_.all_collections()) collection->restart_series(&series_);
  return {};
}

void Store::dispose(std::shared_ptr<void> garbage) {
  workers_.submit_detached(std::make_unique<Disposal>(std::move(garbage)));
}

void Store::collect() {
  tasks_.run();
  workers_.poll_completions();
  slices_.run();
  if (!slices_.empty()) loop_.wake();
}

void Store::end_turn() {
  upkeep_.run_due();
  cursors_.end_idle(keyspace_.now_ms());
  const auto start = std::chrono::steady_clock::now();
  while (keyspace_.expire_due(kExpiredPerStep) == kExpiredPerStep) {
    if (std::chrono::steady_clock::now() - start > kExpiryBudget) return;
  }
}

void Store::save_if_due(const SnapshotRules& rules) {
  if (persistence_ != nullptr) persistence_->save_if_due(rules);
}

/// There is no journal that would say what was written meanwhile.
Status Store::copy_memory(std::string directory, std::function<void(const Status&)> done) {
  if (std::exchange(copies_memory_, true)) {
    return fail(ErrorCode::kAlreadyExists, "Background save already in progress");
  }
  const auto end = [this, done = std::move(done)](const SnapshotJob::Outcome& outcome) {
    copy_.reset();
    copies_memory_ = false;
    gate_.open();
    done(outcome.status);
  };
  const auto begin = [this, directory = std::move(directory), end] {
    copy_ = std::make_unique<SnapshotJob>(
        SnapshotJob::Context{.keyspace = keyspace_,
                             .disk = posix_file_system(),
                             .files = nullptr,
                             .loop = tasks_,
                             .sync_journal = [](const auto& synced) { synced(Lsn{0}); },
                             .replay_from = 1,
                             .copy_directory = directory},
        SnapshotJob::list_collections(keyspace_), end);
  };
  gate_.when_open([this, begin] {
    gate_.close();
    gate_.when_empty(begin);
  });
  return {};
}

std::optional<std::chrono::milliseconds> Store::longest_sleep() const {
  auto least = longest_sleep_of_keys();
  if (const auto ends_ms = cursors_.next_end()) {
    const std::chrono::milliseconds wait(
        std::clamp<std::int64_t>(*ends_ms - keyspace_.now_ms(), 1, kMostSleepMs));
    least = std::min(least.value_or(wait), wait);
  }
  const auto upkeep_ms = upkeep_.longest_sleep_ms();
  if (!upkeep_ms) return least;
  const std::chrono::milliseconds wait(std::clamp<std::int64_t>(*upkeep_ms, 1, kMostSleepMs));
  return std::min(least.value_or(wait), wait);
}

std::optional<std::chrono::milliseconds> Store::longest_sleep_of_keys() const {
  if (const auto expiry = keyspace_.next_expiry()) {
    return std::chrono::milliseconds(
        std::clamp<std::int64_t>(*expiry - keyspace_.now_ms(), 1, kMostSleepMs));
  }
  if (persistence_ != nullptr && persistence_->may_become_due()) {
    return std::chrono::milliseconds(kMostSleepMs);
  }
  return std::nullopt;
}

void Store::begin_transaction() {
  in_transaction_ = true;
  if (persistence_ != nullptr) persistence_->begin_transaction();
}

Lsn Store::end_transaction() {
  in_transaction_ = false;
  // Later: the answer to the transaction is to wait for its LSN before any of these for theirs.
  for (auto& change : std::exchange(after_transaction_, {})) {
    run_soon([this, change = std::move(change)] { record_late(false, change); });
  }
  return persistence_ == nullptr ? 0 : persistence_->end_transaction();
}

void Store::record_late(bool is_step, std::function<void()> change) {
  if (is_step || !in_transaction_) return change();
  after_transaction_.push_back(std::move(change));
}

Lsn Store::seal_late() {
  if (persistence_ == nullptr) return 0;
  const Lsn lsn = persistence_->seal();
  return persistence_->holds_answers() ? lsn : 0;
}

/// Threads that hold promises of replies, or refer to what this owns, end first.
Status Store::close() {
  tasks_.close();
  slices_.clear();
  copy_.reset();
  workers_.stop();
  if (const auto persistence = std::exchange(persistence_, nullptr)) return persistence->close();
  return {};
}

/// What waits in a collection holds the collection, whether or not it has been dropped, and
/// promises of replies, which look for their sessions.
void Store::abandon_waiting_operations() {
  gate_.abandon_waiting();
  std::exchange(after_transaction_, {});
  for (const auto& collection : keyspace_.all_collections()) collection->abandon_waiting();
}

}  // namespace engram
