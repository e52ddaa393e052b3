// SPDX-License-Identifier: Apache-2.0
// The engine as a library: a keyspace, its workers, and the files that keep it. A store has no
// thread of its own but workers, and does not know who turns it: the event loop of a server, a
// thread behind a blocking facade, or the process that it is loaded into.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/result.h"
#include "server/durability/file_system.h"
#include "server/durability/journal.h"
#include "server/durability/previous_snapshot.h"
#include "server/durability/row_files.h"
#include "server/engine/attribute_columns.h"
#include "server/engine/background_upkeep.h"
#include "server/engine/keyspace.h"
#include "server/engine/search_cursors.h"
#include "server/engine/transaction_gate.h"
#include "server/metrics/index_series.h"
#include "server/runtime/loop_slices.h"
#include "server/runtime/loop_tasks.h"
#include "server/runtime/worker_pool.h"

namespace engram {

class Persistence;
class SnapshotJob;
struct SnapshotRules;

struct StoreOptions {
  std::string directory =
      {};  ///< of the journal and snapshots; empty: everything is in memory only
  FsyncPolicy fsync = FsyncPolicy::kEverySec;
  KeepPrevious keep_previous = KeepPrevious::kUntilVerified;
  std::string kernel = "auto";  ///< as make_kernel takes it
  std::size_t workers = 0;      ///< threads for searches and inserts; 0: one per core
};

/// The loop that turns a store. It outlives the store.
class StoreLoop {
 public:
  virtual ~StoreLoop() = default;

  /// Makes the loop take a turn soon. Thread-safe; does not block.
  virtual void wake() = 0;
  /// Returns after a wake(). Called while a store is opened, before its first turn.
  virtual void wait() = 0;
};

/// Threads: all members belong to the loop's thread.
class Store {
 public:
  /// Restores the data from `disk`, which outlives it. Errors: kInvalidArgument for an unknown
  /// kernel, kResourceExhausted where the system allows no threads; those of Persistence::open.
  static Result<std::unique_ptr<Store>> open(StoreOptions options, StoreLoop& loop,
                                             FileSystem& disk = posix_file_system());
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  Keyspace& keyspace() noexcept { return keyspace_; }
  WorkerPool& workers() noexcept { return workers_; }
  /// Null: no file is written.
  const RowFiles* row_files() const noexcept { return row_files_ ? &*row_files_ : nullptr; }
  /// Null: the data is in memory only.
  Persistence* persistence() noexcept { return persistence_.get(); }
  [[nodiscard]] const std::string& kernel_name() const noexcept { return options_.kernel; }

  /// AttributeColumns::Request::most_bytes, of each index.
  [[nodiscard]] std::size_t most_column_bytes() const noexcept { return most_column_bytes_; }
  void set_most_column_bytes(std::size_t bytes) noexcept { most_column_bytes_ = bytes; }
  /// AttributeColumns::Request::memory_is_full.
  [[nodiscard]] const std::function<bool()>* memory_check() const noexcept {
    return memory_is_full_ ? &memory_is_full_ : nullptr;
  }
  void set_memory_check(std::function<bool()> is_full) { memory_is_full_ = std::move(is_full); }

  /// What is done with all indexes, those that have gone included. Any thread.
  IndexSeries& series() noexcept { return series_; }

  /// Frees it on a worker.
  void dispose(std::shared_ptr<void> garbage);

  // A turn of the loop: begin_turn(), collect(), then requests, then end_turn().

  /// Sets the time by which keys expire, in unix milliseconds.
  void begin_turn(std::int64_t now_ms) noexcept { keyspace_.set_now(now_ms); }
  /// Runs what other threads have posted and what belongs to jobs that workers have finished. After
  /// the loop's wake-up was drained, or the next one might be lost.
  void collect();
  /// Has `task` run by the next collect(), when what calls this has come to its end.
  void run_soon(std::function<void()> task) { tasks_.post(std::move(task)); }
  [[nodiscard]] BackgroundUpkeep& upkeep() noexcept { return upkeep_; }
  [[nodiscard]] const BackgroundUpkeep& upkeep() const noexcept { return upkeep_; }
  /// Clients may not write, so what the store does by itself waits, too.
  void set_paused(bool is_paused) noexcept { upkeep_.set_paused(is_paused); }
  /// Searches that are answered in pages.
  [[nodiscard]] SearchCursors& cursors() noexcept { return cursors_; }
  /// Work in slices: collect() gives it a share of each turn.
  LoopSlices& slices() noexcept { return slices_; }
  /// Erases keys whose time has come, for a fraction of a millisecond, and begins what indexes do
  /// by themselves.
  void end_turn();
  /// Takes a snapshot if a rule says so. To be called now and then.
  void save_if_due(const SnapshotRules& rules);
  /// Only without persistence(): copies the data to a directory, which is there and holds no store,
  /// and calls `done`. Writes wait meanwhile, reads go on. Errors, at once: kAlreadyExists while
  /// another copy is made; through `done`: kAlreadyExists, kIo, kNoSpace, kResourceExhausted.
  Status copy_memory(std::string directory, std::function<void(const Status&)> done);
  /// How long the loop may sleep if nothing wakes it; nothing: for ever.
  [[nodiscard]] std::optional<std::chrono::milliseconds> longest_sleep() const;

  // Transactions.

  TransactionGate& gate() noexcept { return gate_; }
  /// What is recorded from now on is one frame of the journal. The gate is closed.
  void begin_transaction();
  /// Ends the frame. Returns the LSN that the transaction's answer waits for, or 0. The gate stays
  /// closed: the caller opens it when it has said what waits for that LSN.
  Lsn end_transaction();
  /// Has `change`, which begins later than the request that it belongs to, recorded in a frame of
  /// its own: calls it when no transaction's is open, now or later. `is_step`: it belongs to the
  /// one that is open. The request has entered the gate, so a transaction that concerns collections
  /// waits for it.
  void record_late(bool is_step, std::function<void()> change);
  /// Ends the frame of what was recorded late: the LSN that its answer waits for, or 0.
  Lsn seal_late();

  /// Ends the workers and has everything on disk, whatever the policy. No turn may follow. Errors:
  /// kIo, kNoSpace if what was changed last may not be on disk.
  Status close();

  /// After close(): lets go of operations that have not started. They hold promises of replies.
  void abandon_waiting_operations();

 private:
  Store(StoreOptions options, StoreLoop& loop);
  Status restore(StoreLoop& loop, FileSystem& disk);
  [[nodiscard]] std::optional<std::chrono::milliseconds> longest_sleep_of_keys() const;

  const StoreOptions options_;
  StoreLoop& loop_;
  IndexSeries series_;
  std::optional<RowFiles> row_files_;
  Keyspace keyspace_;
  WorkerPool workers_;
  LoopTasks tasks_;
  LoopSlices slices_;
  BackgroundUpkeep upkeep_{*this};
  SearchCursors cursors_;
  TransactionGate gate_;
  std::size_t most_column_bytes_ = AttributeColumns::kMostBytes;
  std::function<bool()> memory_is_full_;  // empty: there is no limit
  bool in_transaction_ = false;
  std::vector<std::function<void()>> after_transaction_;  // changes that are late
  std::unique_ptr<Persistence> persistence_;
  bool copies_memory_ = false;
  std::unique_ptr<SnapshotJob> copy_;  // of what is in memory only
};

}  // namespace engram
