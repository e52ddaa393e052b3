// SPDX-License-Identifier: Apache-2.0
// What keeps the store: a journal of its changes, snapshots of its state, and the rule of when a
// change may be acknowledged. One of these for a server that keeps its data; none for one that does
// not.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/result.h"
#include "server/durability/journal.h"
#include "server/durability/row_files.h"
#include "server/durability/store_files.h"
#include "server/engine/change_sink.h"
#include "server/engine/grace_period.h"
#include "server/engine/snapshot_generations.h"
#include "server/engine/snapshot_job.h"
#include "server/engine/snapshot_verifier.h"
#include "server/runtime/loop_tasks.h"

namespace engram {

class Keyspace;
class WorkerPool;

/// When a snapshot is taken without being asked for. 0 turns a rule off.
struct SnapshotRules {
  struct Age {
    std::int64_t seconds;   ///< since the last one
    std::uint64_t changes;  ///< and at least so many frames since
  };
  std::vector<Age> ages;
  std::uint64_t journal_percent =
      0;  ///< of the last snapshot's size: the journal since has grown to that
  std::uint64_t journal_bytes = 0;  ///< and at least to this
};

/// "always", "everysec" or "no", as the parameter appendfsync has it.
FsyncPolicy fsync_policy(std::string_view name) noexcept;

struct PersistenceOptions {
  FileSystem& disk;
  std::string directory;
  FsyncPolicy policy;
  std::string kernel_name;
  const RowFiles* row_files;  ///< outlives the keyspace
  KeepPrevious keep_previous = KeepPrevious::kUntilVerified;
};

enum class Verification : std::uint8_t { kNone, kRunning, kVerified, kFailed };

/// What INFO tells.
struct PersistenceFacts {
  FsyncPolicy policy = FsyncPolicy::kNo;
  Status journal_health = {};
  JournalStats journal = {};
  Lsn last = 0;
  Lsn answerable = 0;
  std::uint64_t changes_since_snapshot = 0;
  bool saving = false;
  std::int64_t saving_since_ms = 0;
  std::int64_t last_save_ms = 0;  ///< unix time; of the start if there was none
  Status last_save_status = {};
  std::int64_t last_save_duration_ms = -1;  ///< -1: none was taken
  std::uint64_t snapshot_bytes = 0;
  Verification verification = Verification::kNone;
  std::uint64_t replayed_frames = 0;
  std::vector<std::string> damaged_collections = {};  ///< names; of a quarantine, too
};

/// Threads: the event loop's only.
class Persistence final : public ChangeSink {
 public:
  /// What it works with; all of it outlives this, except that `loop` is closed before.
  struct Environment {
    Keyspace& keyspace;
    WorkerPool& workers;
    LoopTasks& loop;
    std::function<void()> wake_loop;         ///< thread-safe
    std::function<void()> wait_for_workers;  ///< as in RecoveryContext; during open() only
  };

  /// Locks the directory, restores the keyspace from it, and begins a segment of the journal. From
  /// then on every change is recorded. Errors: those of StoreFiles::open, recover, Journal::open.
  static Result<std::unique_ptr<Persistence>> open(const PersistenceOptions& options,
                                                   const Environment& environment);
  ~Persistence() override;

  void record(const Change& change) override { journal_->record(change); }
  [[nodiscard]] std::size_t recorded_bytes() const noexcept override {
    return journal_->frame_bytes();
  }
  GracePeriod::Ticket begin() override { return applying_.enter(); }
  void end(GracePeriod::Ticket ticket) override { applying_.leave(ticket); }

  /// Ends a command: what it recorded is replayed whole or not at all. Returns the LSN that its
  /// answer waits for, or 0; always 0 in a transaction.
  Lsn seal() { return in_transaction_ ? 0 : journal_->seal(); }

  /// Until end_transaction() all changes, whoever makes them, gather in one frame, which has less
  /// than 4 GiB. Whatever would end the frame early waits: the start of a snapshot, the sync before
  /// one is published, a change of policy. A frame that is never ended is never written.
  void begin_transaction();
  /// Returns the LSN that the answer of the transaction waits for, or 0 if nothing was changed.
  Lsn end_transaction();

  /// To be called once in each turn of the loop: commands up to this LSN may be answered.
  Lsn poll();

  /// Answers have to wait for poll() to allow them: of changes that are made from now until the
  /// next poll().
  [[nodiscard]] bool holds_answers() const noexcept { return holds_answers_; }

  /// Fails while changes cannot be kept, as Journal::health(); asked before every command that
  /// writes.
  [[nodiscard]] Status health() const { return journal_->health(); }

  void set_policy(FsyncPolicy policy);
  void set_keep_previous(KeepPrevious policy) noexcept { generations_.set_policy(policy); }

  /// Takes a snapshot and calls `done` when it is in its place; also while health() fails. Unless
  /// `directory` is empty, it copies the store into that directory instead, which has none and is a
  /// store of its own then. Errors, at once: kAlreadyExists if a snapshot is being taken, kDataLoss
  /// if something that was loaded is damaged.
  Status save(std::function<void(const Status&)> done, std::string directory = {});
  /// The same after the snapshot that is being taken, if there is one. Every error goes to `done`.
  void save_in_turn(std::function<void(const Status&)> done);
  [[nodiscard]] bool is_saving() const noexcept { return saving_; }

  /// To be called now and then: takes a snapshot if a rule says so.
  void save_if_due(const SnapshotRules& rules);

  /// There are changes that a rule of age may want to have saved.
  [[nodiscard]] bool may_become_due() const noexcept {
    return !saving_ && journal_->last() != last_save_lsn_;
  }

  [[nodiscard]] PersistenceFacts facts();
  /// Journal::sync_durations(). Any thread.
  [[nodiscard]] const Histogram& sync_durations() const noexcept {
    return journal_->sync_durations();
  }

  /// Has everything on disk, in the journal or in the last snapshot, whatever the policy.
  Status close();

 private:
  Persistence(const Environment& environment, std::unique_ptr<StoreFiles> files,
              KeepPrevious keep_previous);

  void verify(std::unique_ptr<SnapshotFile> snapshot, bool is_newest);
  void end_check(const Status& checked);
  [[nodiscard]] bool may_start_save() const noexcept {
    return verifier_ == nullptr && !generations_.is_busy();
  }
  void mark_damaged(SectionOwner owner, const std::string& reason);
  [[nodiscard]] Status soundness() const;
  void outside_transaction(std::function<void()> action);
  [[nodiscard]] std::optional<std::uint64_t> standstill() const;
  void sync(Lsn first, std::optional<std::uint64_t> standstill,
            std::function<void(const Result<Lsn>&)> done);
  void log_health();
  void save_for_waiting();
  void start_save();
  void rotate_and_save();
  void end_save(const SnapshotJob::Outcome& outcome, Lsn replay_from);
  void end_own_save(const SnapshotJob::Outcome& outcome, Lsn replay_from);
  [[nodiscard]] bool is_due(const SnapshotRules& rules) const;

  const Environment environment_;
  const std::unique_ptr<StoreFiles> files_;
  GracePeriod applying_;  // of recorded changes that workers carry out
  std::unique_ptr<SnapshotVerifier> verifier_;
  SnapshotGenerations generations_;
  Verification verification_ = Verification::kNone;
  std::string store_damage_;  // of what belongs to no collection
  struct WaitingSync {
    Lsn lsn;
    std::function<void(const Result<Lsn>&)> done;
  };
  std::vector<WaitingSync> waiting_syncs_;
  bool in_transaction_ = false;
  std::vector<std::function<void()>> after_transaction_;
  bool holds_answers_ = true;
  std::unique_ptr<SnapshotJob> job_;
  bool saving_ = false;              // asked for; the job may have to wait for the verifier
  std::string save_directory_;       // where to; empty: the store's own
  std::uint64_t rotated_bytes_ = 0;  // of the journal, before the snapshot that was begun last
  std::uint64_t kept_bytes_ = 0;     // of the journal, for a snapshot before the newest
  std::uint64_t kept_before_ = 0;    // kept_bytes_ when the newest was published
  std::vector<std::function<void(const Status&)>> waiting_for_save_;
  std::vector<std::function<void(const Status&)>> waiting_for_turn_;  // of the next
  std::int64_t saving_since_ms_ = 0;
  std::int64_t last_save_ms_ = 0;
  std::int64_t last_attempt_ms_ = 0;
  std::int64_t retry_ms_ = 0;  // how long to wait after the last attempt; 0: it succeeded
  std::int64_t last_save_duration_ms_ = -1;
  Status last_save_status_;
  std::uint64_t snapshot_bytes_ = 0;
  Lsn last_save_lsn_ = 0;  // the newest frame when it began
  bool was_healthy_ = true;
  std::uint64_t replayed_frames_ = 0;
  std::unique_ptr<Journal> journal_;
};

}  // namespace engram
