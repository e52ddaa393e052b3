// SPDX-License-Identifier: Apache-2.0
#include "server/engine/recovery.h"

#include <chrono>
#include <string>
#include <utility>

#include "server/durability/journal_reader.h"
#include "server/engine/journal_replayer.h"
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
        collections_(context) {}

  Result<Recovered> run() {
    Status restored = open_snapshot();
    if (restored) restored = replay_journal();
    const Status ended = work_.wait_for_all();  // after a failure, too: it refers to this
    ENGRAM_TRY(restored);
    ENGRAM_TRY(ended);
    return std::move(recovered_);
  }

 private:
  Status open_snapshot();
  Status replay_journal();

  StoreFiles& files_;
  const RecoveryContext& context_;
  PendingWork work_;
  RestoredCollections collections_;
  StoreId id_ = {};
  Recovered recovered_;
  Lsn needed_ = 0;  // the journal has to reach so far
};

Status Recovery::open_snapshot() {
  auto snapshot = SnapshotFile::open(files_, id_);
  if (!snapshot && snapshot.error().code == ErrorCode::kNotFound) return {};
  if (!snapshot) return tl::unexpected(std::move(snapshot.error()));
  recovered_.snapshot = std::move(*snapshot);
  const auto needed = load_snapshot(*recovered_.snapshot, context_.keyspace, collections_, work_);
  if (!needed) return tl::unexpected(needed.error());
  needed_ = *needed;
  return {};
}

Status Recovery::replay_journal() {
  JournalReplayer replayer(context_.keyspace, collections_, work_);
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
