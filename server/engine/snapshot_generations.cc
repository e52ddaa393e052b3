// SPDX-License-Identifier: Apache-2.0
#include "server/engine/snapshot_generations.h"

#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "server/durability/repair.h"
#include "server/runtime/log.h"
#include "server/runtime/thread_traits.h"

namespace engram {

SnapshotGenerations::SnapshotGenerations(const StoreFiles& files, LoopTasks& loop,
                                         KeepPrevious policy, Hooks hooks)
    : files_(files), loop_(loop), policy_(policy), hooks_(std::move(hooks)) {}

SnapshotGenerations::~SnapshotGenerations() {
  cancelled_.store(true);
  if (thread_.joinable()) thread_.join();
}

/// Runs `work` on a thread of its own, then `done` on the loop: with kResourceExhausted where the
/// system allows no thread.
void SnapshotGenerations::run(std::function<Status()> work,
                              const std::function<void(const Status&)>& done) {
  is_busy_ = true;
  const auto end = [this, done](const Status& outcome) {
    if (thread_.joinable()) thread_.join();  // its work has ended, not its last instructions
    is_busy_ = false;
    done(outcome);
  };
  try {
    thread_ = std::thread([this, end, work = std::move(work)] {
      name_this_thread("verifier");
      prefer_background();
      loop_.post([end, outcome = work()] { end(outcome); });
    });
  } catch (const std::system_error& error) {
    loop_.post([end, reason = std::string(error.what())] {
      end(fail(ErrorCode::kResourceExhausted, "cannot start a thread: " + reason));
    });
  }
}

void SnapshotGenerations::loaded_newest(Lsn replay_from) {
  newest_from_ = replay_from;
}

void SnapshotGenerations::verified_loaded(bool is_sound) {
  newest_is_sound_ = is_sound;
  if (!is_sound) return set_newest_aside();
  if (policy_ != KeepPrevious::kAlways) drop_previous();
}

void SnapshotGenerations::published(Lsn replay_from, const std::optional<Status>& linked) {
  const bool has_failed = linked && !*linked;
  if (linked && !has_failed) previous_from_ = newest_from_;
  newest_from_ = replay_from;
  newest_is_sound_ = policy_ == KeepPrevious::kNo;  // nothing would come of reading it
  keeps_previous_ = policy_ == KeepPrevious::kAlways && !has_failed;
  if (policy_ == KeepPrevious::kNo) return drop_previous();
  if (policy_ == KeepPrevious::kAlways && has_failed) {
    log_warning("the snapshot before the newest is not kept: " + linked->error().message);
  }
  check();
}

void SnapshotGenerations::check() {
  run([this] { return verify_newest(files_, cancelled_); },
      [this](const Status& verified) {
        newest_is_sound_ = verified.has_value();
        if (!verified) {
          log_error("the snapshot that was just taken: " + verified.error().message);
          const ErrorCode code = verified.error().code;
          if (code == ErrorCode::kDataLoss || code == ErrorCode::kIo) return set_newest_aside();
        } else if (keeps_previous_) {
          hooks_.drop_journal_before(previous_from_);
        } else {
          return drop_previous();
        }
        hooks_.checked(verified);
      });
}

/// The newest is sound, or nobody asks. The previous one goes before the journal that it would
/// need; if it stays, so does that.
void SnapshotGenerations::drop_previous() {
  keeps_previous_ = false;
  run([this] { return remove_previous(files_); },
      [this](const Status& removed) {
        if (removed) {
          hooks_.drop_journal_before(newest_from_);
        } else {
          log_warning(removed.error().message);
        }
        hooks_.checked({});
      });
}

void SnapshotGenerations::set_newest_aside() {
  run(
      [this]() -> Status {
        ENGRAM_TRY(verify_previous(files_, cancelled_));
        std::vector<std::string> lines;
        return cut_snapshot(files_, kSnapshotName, lines);
      },
      [this](const Status& done) {
        if (done) {
          log_warning(
              "the damaged snapshot was set aside; the next start restores what it held "
              "from what came before it and the journal");
        } else if (done.error().code != ErrorCode::kNotFound) {
          log_warning("nothing can stand in for the damaged snapshot: " + done.error().message);
        }
        hooks_.checked(fail(ErrorCode::kDataLoss, "the newest snapshot is damaged"));
      });
}

}  // namespace engram
