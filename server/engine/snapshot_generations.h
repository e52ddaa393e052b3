// SPDX-License-Identifier: Apache-2.0
// Which snapshots there are, what is known of them, and how far back the journal is kept for them.
//
// The newest is read back after it was taken, and verified after a start. Until that has ended
// well, the previous one stays, and the journal since; where there is none, the journal from its
// first frame. Should the newest turn out to be damaged, it is set aside, so that the next start
// restores everything from those.
#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <thread>

#include "core/result.h"
#include "server/durability/previous_snapshot.h"
#include "server/durability/store_files.h"
#include "server/runtime/loop_tasks.h"

namespace engram {

/// Threads: the event loop's only.
class SnapshotGenerations {
 public:
  struct Hooks {
    std::function<void(Lsn)> drop_journal_before;
    /// The newest has been read back, and is_busy() is false.
    std::function<void(const Status&)> checked;
  };

  SnapshotGenerations(const StoreFiles& files, LoopTasks& loop, KeepPrevious policy, Hooks hooks);
  ~SnapshotGenerations();
  SnapshotGenerations(const SnapshotGenerations&) = delete;
  SnapshotGenerations& operator=(const SnapshotGenerations&) = delete;

  void set_policy(KeepPrevious policy) noexcept { policy_ = policy; }
  [[nodiscard]] KeepPrevious policy() const noexcept { return policy_; }

  /// The store was restored from the newest snapshot, which nobody has verified yet.
  void loaded_newest(Lsn replay_from);
  /// It has been verified since. `is_sound`: all of it is as it was written.
  void verified_loaded(bool is_sound);

  /// Whether the next snapshot is to be published with the present one as the previous one.
  [[nodiscard]] bool wants_previous() const noexcept {
    return policy_ != KeepPrevious::kNo && newest_is_sound_;
  }
  /// A snapshot was published. `linked`: whether the one before has become the previous one; unset
  /// if it was not to. Where that failed the newest alone is kept, once it has been read back.
  void published(Lsn replay_from, const std::optional<Status>& linked);

  /// Whether the previous one and the journal since stay beside a newest one that is sound.
  [[nodiscard]] bool keeps_previous() const noexcept { return keeps_previous_; }

  /// Files are being read or removed: no snapshot may begin.
  [[nodiscard]] bool is_busy() const noexcept { return is_busy_; }

 private:
  void run(std::function<Status()> work, const std::function<void(const Status&)>& done);
  void check();
  void drop_previous();
  void set_newest_aside();

  const StoreFiles& files_;
  LoopTasks& loop_;
  KeepPrevious policy_;
  const Hooks hooks_;
  bool newest_is_sound_ = false;
  bool keeps_previous_ = false;
  bool is_busy_ = false;
  Lsn newest_from_ = 1;    // the journal is replayed from here on
  Lsn previous_from_ = 1;  // as far as is known
  std::atomic<bool> cancelled_ = false;
  std::thread thread_;
};

}  // namespace engram
