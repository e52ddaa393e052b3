// SPDX-License-Identifier: Apache-2.0
#include "server/engine/snapshot_generations.h"

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

/// Runs `work` on a thread of its own, then `done` on the loop.
void SnapshotGenerations::run(std::function<Status()> work,
                              std::function<void(const Status&)> done) {
  if (thread_.joinable()) thread_.join();  // its work has ended, perhaps not its last instructions
  thread_ = std::thread([this, work = std::move(work), done = std::move(done)] {
    name_this_thread("verifier");
    prefer_background();
    loop_.post([this, done, outcome = work()] {
      thread_.join();
      done(outcome);
    });
  });
}

void SnapshotGenerations::loaded_newest(Lsn replay_from) {
  newest_from_ = replay_from;
}

void SnapshotGenerations::verified_loaded(bool is_sound) {
  newest_is_sound_ = is_sound;
  if (!is_sound) return set_newest_aside();
  if (policy_ == KeepPrevious::kAlways) return;
  run([this] { return remove_previous(files_); },
      [this](const Status& removed) {
        release(removed);
        hooks_.checked({});
      });
}

void SnapshotGenerations::published(Lsn replay_from, bool linked) {
  if (linked) previous_from_ = newest_from_;
  newest_from_ = replay_from;
  newest_is_sound_ = policy_ == KeepPrevious::kNo;  // nothing would come of reading it
  if (policy_ != KeepPrevious::kNo) return check();
  run([this] { return remove_previous(files_); },
      [this](const Status& removed) {
        release(removed);
        hooks_.checked({});
      });
}

void SnapshotGenerations::check() {
  const bool keeps = policy_ == KeepPrevious::kAlways;
  run(
      [this, keeps]() -> Status {
        ENGRAM_TRY(verify_newest(files_, cancelled_));
        return keeps ? Status{} : remove_previous(files_);
      },
      [this, keeps](const Status& verified) {
        newest_is_sound_ = verified.has_value();
        if (!verified) {
          log_error("the snapshot that was just taken: " + verified.error().message);
          const ErrorCode code = verified.error().code;
          if (code == ErrorCode::kDataLoss || code == ErrorCode::kIo) return set_newest_aside();
        } else if (keeps) {
          hooks_.drop_journal_before(previous_from_);
        } else {
          release(verified);
        }
        hooks_.checked(verified);
      });
}

/// The previous one goes before the journal that it would need.
void SnapshotGenerations::release(const Status& removed) {
  if (!removed) return log_warning(removed.error().message);
  hooks_.drop_journal_before(newest_from_);
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
