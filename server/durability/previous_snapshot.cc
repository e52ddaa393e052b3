// SPDX-License-Identifier: Apache-2.0
#include "server/durability/previous_snapshot.h"

#include <algorithm>
#include <memory>
#include <string>

#include "server/durability/journal_check.h"
#include "server/durability/snapshot_file.h"

namespace engram {
namespace {

Status verify_all(const SnapshotFile& snapshot, const std::atomic<bool>& cancelled) {
  for (const SnapshotEntry& entry : snapshot.entries()) {
    ENGRAM_TRY(snapshot.verify(entry, cancelled));
    if (cancelled.load()) return fail(ErrorCode::kIo, "the server ends");
  }
  return {};
}

/// The newest snapshot has what the frames up to this one did: a journal that failed may lack them.
Lsn reach_of_newest(const StoreFiles& files) {
  StoreId id = files.id();
  const auto newest = SnapshotFile::open(files, id, files.snapshot_path(), HeaderCheck::kPassOver);
  return newest ? (*newest)->replay_from() - 1 : 0;
}

}  // namespace

KeepPrevious keep_previous(std::string_view name) noexcept {
  if (name == "no") return KeepPrevious::kNo;
  return name == "yes" ? KeepPrevious::kAlways : KeepPrevious::kUntilVerified;
}

Status link_newest_as_previous(const StoreFiles& files) {
  FileSystem& disk = files.disk();
  ENGRAM_TRY(disk.remove(files.previous_snapshot_path()));
  ENGRAM_TRY(disk.link(files.snapshot_path(), files.previous_snapshot_path()));
  return disk.sync_directory(files.directory());
}

Result<bool> has_previous(const StoreFiles& files) {
  const auto names = files.disk().list(files.directory());
  if (!names) return tl::unexpected(names.error());
  return std::find(names->begin(), names->end(), kPreviousSnapshotName) != names->end();
}

Status remove_previous(const StoreFiles& files) {
  ENGRAM_TRY(files.disk().remove(files.previous_snapshot_path()));
  return files.disk().sync_directory(files.directory());
}

Status verify_newest(const StoreFiles& files, const std::atomic<bool>& cancelled) {
  StoreId id = files.id();
  const auto snapshot = SnapshotFile::open(files, id);
  if (!snapshot) return tl::unexpected(snapshot.error());
  (*snapshot)->forget_cached();
  return verify_all(**snapshot, cancelled);
}

Status verify_previous(const StoreFiles& files, const std::atomic<bool>& cancelled) {
  StoreId id = files.id();
  const auto snapshot = SnapshotFile::open(files, id, files.previous_snapshot_path());
  const bool is_there = snapshot || snapshot.error().code != ErrorCode::kNotFound;
  if (is_there && !snapshot) return tl::unexpected(snapshot.error());
  const Lsn from = is_there ? (*snapshot)->replay_from() : 1;
  const auto segments = files.segments();
  if (!segments) return tl::unexpected(segments.error());
  if (segments->empty() || segments->front() > from) {
    if (!is_there) return fail(ErrorCode::kNotFound, "no previous snapshot was kept");
    return fail(ErrorCode::kDataLoss, "the journal does not reach back to the previous snapshot");
  }
  const auto journal = examine_journal(files, id, from);
  if (!journal) return tl::unexpected(journal.error());
  if (journal->broken && !journal->broken->torn) {
    return fail(ErrorCode::kDataLoss, "the journal since is damaged");
  }
  const Lsn end = journal->broken ? journal->broken->lost_from : journal->segments.back().end.next;
  if (end <= std::max(journal->synced, reach_of_newest(files))) {
    return fail(ErrorCode::kDataLoss, "the journal since ends before frame " + std::to_string(end));
  }
  return is_there ? verify_all(**snapshot, cancelled) : Status{};
}

}  // namespace engram
