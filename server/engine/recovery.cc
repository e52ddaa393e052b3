// SPDX-License-Identifier: Apache-2.0
#include "server/engine/recovery.h"

#include <atomic>
#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/durability/journal_reader.h"
#include "server/durability/previous_snapshot.h"
#include "server/durability/repair.h"
#include "server/engine/journal_replayer.h"
#include "server/engine/keyspace.h"
#include "server/engine/pending_work.h"
#include "server/engine/restored_collections.h"
#include "server/engine/snapshot_loader.h"
#include "server/runtime/log.h"
#include "server/runtime/process.h"

namespace engram {
namespace {

/// Says now and then how far a long replay has come.
class ProgressLog {
 public:
  void at(Lsn lsn) {
    constexpr auto kInterval = std::chrono::seconds(1);
    if (Clock::now() - logged_ < kInterval) return;
    logged_ = Clock::now();
    log_info("repeating the journal: at LSN " + std::to_string(lsn));
  }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point logged_ = Clock::now();
};

class Recovery {
 public:
  Recovery(StoreFiles& files, const RecoveryContext& context)
      : files_(files),
        context_(context),
        work_(context.workers, context.wait_for_workers),
        collections_(std::in_place, context) {}

  Result<Recovered> run() {
    Status restored = restore_snapshot();
    if (restored) restored = replay_journal();
    const Status ended = work_.wait_for_all();  // after a failure, too: it refers to this
    ENGRAM_TRY(restored);
    ENGRAM_TRY(ended);
    return std::move(recovered_);
  }

 private:
  Status restore_snapshot();
  Status set_newest_aside(std::vector<std::string>& lines);
  Status restore_previous(bool is_there, const std::string& damage,
                          const std::vector<std::string>& lines);
  Status load(const std::string& path);
  Status replay_journal();

  StoreFiles& files_;
  const RecoveryContext& context_;
  PendingWork work_;
  std::optional<RestoredCollections> collections_;
  StoreId id_ = {};
  Recovered recovered_;
  Lsn needed_ = 0;  // the journal has to reach so far
};

Status Recovery::restore_snapshot() {
  const auto previous = has_previous(files_);
  if (!previous) return tl::unexpected(previous.error());
  Status loaded = load(files_.snapshot_path());
  const bool is_absent = !loaded && loaded.error().code == ErrorCode::kNotFound;
  if (is_absent && !*previous) return {};
  recovered_.is_newest = loaded.has_value();
  std::string damage = collections_->damage();
  if (is_absent) damage = files_.snapshot_path() + " is not there";
  if (!loaded && !is_absent) {
    const ErrorCode code = loaded.error().code;
    if (code != ErrorCode::kDataLoss && code != ErrorCode::kIo) return loaded;
    damage = loaded.error().message;
  }
  if (damage.empty()) return {};
  std::vector<std::string> lines;
  Status set_aside = set_newest_aside(lines);
  if (set_aside) return restore_previous(*previous, damage, lines);
  if (set_aside.error().code == ErrorCode::kResourceExhausted) return set_aside;
  if (set_aside.error().code != ErrorCode::kNotFound) {
    log_warning("what came before cannot stand in for the damaged snapshot: " +
                set_aside.error().message);
  }
  if (is_absent) return set_aside;
  if (loaded) return {};
  return fail(loaded.error().code, damage + "; 'engram check " + files_.directory() +
                                       "' explains it, 'engram check --repair " +
                                       files_.directory() + "' keeps what can be read");
}

/// Makes way for what was kept until the newest snapshot would be verified. If that is not to be
/// had, everything is as before.
Status Recovery::set_newest_aside(std::vector<std::string>& lines) {
  const std::atomic<bool> cancelled = false;
  files_.set_id(id_);
  ENGRAM_TRY(verify_previous(files_, cancelled));
  Status moved = cut_snapshot(files_, kSnapshotName, lines);
  if (!moved && moved.error().code != ErrorCode::kNotFound) return moved;
  return {};
}

/// What the newest had is given up here: an error is that of the start.
Status Recovery::restore_previous(bool is_there, const std::string& damage,
                                  const std::vector<std::string>& lines) {
  [[maybe_unused]] const Status ended = work_.wait_for_all();
  context_.keyspace.clear();
  collections_.emplace(context_);
  recovered_ = {};
  needed_ = 0;
  if (is_there) ENGRAM_TRY(load(files_.previous_snapshot_path()));
  log_warning(damage + "; the store is restored from " +
              (is_there ? files_.previous_snapshot_path() + " and " : std::string()) +
              "the journal since, and nothing is lost");
  for (const std::string& line : lines) log_warning(line);
  return {};
}

Status Recovery::load(const std::string& path) {
  auto snapshot = SnapshotFile::open(files_, id_, path);
  if (!snapshot) return tl::unexpected(std::move(snapshot.error()));
  recovered_.snapshot = std::move(*snapshot);
  const auto needed = load_snapshot(*recovered_.snapshot, context_.keyspace, *collections_, work_);
  if (!needed) return tl::unexpected(needed.error());
  needed_ = *needed;
  return {};
}

Status Recovery::replay_journal() {
  JournalReplayer replayer(context_.keyspace, *collections_, work_);
  ProgressLog progress;
  const Lsn from = recovered_.snapshot == nullptr ? 1 : recovered_.snapshot->replay_from();
  const auto end =
      read_journal(files_, id_, from, [&](Lsn lsn, std::string_view changes) -> Status {
        ENGRAM_TRY(replayer.repeat_frame(lsn, changes));
        progress.at(lsn);
        return {};
      });
  if (!end) return tl::unexpected(end.error());
  if (end->next <= needed_) {
    return fail(ErrorCode::kDataLoss, "the journal ends before LSN " + std::to_string(end->next) +
                                          ", but the snapshot was taken while writes up to LSN " +
                                          std::to_string(needed_) +
                                          " went on, and is not whole without them");
  }
  ENGRAM_TRY(replayer.finish());
  if (end->torn) {
    log_warning(end->torn->path + " ends in " + std::to_string(end->torn->bytes) +
                " bytes that were not completely written; they are cut off");
    ENGRAM_TRY(cut(files_, *end->torn));
  }
  recovered_.next = end->next;
  recovered_.frames = end->frames;
  if (id_ == StoreId{}) {
    id_ = random_id();
    // A store that was here and is gone may have left its note.
    ENGRAM_TRY(files_.disk().remove(files_.synced_path()));
  }
  files_.set_id(id_);
  return {};
}

}  // namespace

Result<Recovered> recover(StoreFiles& files, const RecoveryContext& context) {
  return Recovery(files, context).run();
}

}  // namespace engram
