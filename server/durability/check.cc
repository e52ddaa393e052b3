// SPDX-License-Identifier: Apache-2.0
#include "server/durability/check.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "server/durability/journal_check.h"
#include "server/durability/previous_snapshot.h"
#include "server/durability/repair.h"
#include "server/durability/snapshot_check.h"
#include "server/durability/snapshot_file.h"
#include "server/durability/snapshot_salvage.h"
#include "server/durability/store_files.h"

namespace engram {
namespace {

std::string frames(Lsn first, std::optional<Lsn> last) {
  if (!last) return "frame " + std::to_string(first) + " and what follows";
  if (*last == first) return "frame " + std::to_string(first);
  return "frames " + std::to_string(first) + " to " + std::to_string(*last);
}

std::string describe(const SegmentFindings& segment) {
  const SegmentEnd& end = segment.end;
  const std::string held =
      end.next == segment.first ? "no frames" : frames(segment.first, end.next - 1);
  const std::string place = "at offset " + std::to_string(end.offset) + ", where frame " +
                            std::to_string(end.next) + " should be: it " + end.reason;
  switch (end.kind) {
    case SegmentEnd::Kind::kWhole:
      return "sound, " + how_many(segment.bytes, "byte") + ", " + held;
    case SegmentEnd::Kind::kTorn:
      return held + ", then a torn tail of " + how_many(segment.bytes - end.offset, "byte") + " " +
             place + "; a crash leaves such a tail, and a server cuts it off when it starts";
    case SegmentEnd::Kind::kDamaged:
      return held + ", then damage " + place +
             (segment.needed ? "" : "; the snapshot covers this segment, it is not needed");
  }
  return {};
}

// Appended to which frames are lost.
constexpr const char* kPartly =
    " (the snapshot, taken while changes went on, may have part of what they did)";

/// One look at a store, which says what it sees.
class Examination {
 public:
  explicit Examination(const StoreFiles& files) : files_(files) {}

  Status run() {
    ENGRAM_TRY(look_at_snapshot());
    if (!foreign_) ENGRAM_TRY(look_at_journal());
    return look_at_other_files();
  }

  /// Whether a server would refuse to start, or to serve all of it.
  [[nodiscard]] bool damaged() const {
    return foreign_ || snapshot_damaged_ || journal_missing_ || journal_short_ || is_cut_off() ||
           (broken() && !findings_.broken->torn);
  }

  Status repair(StoreFiles& files) {
    if (foreign_ || (!damaged() && !broken())) return {};
    files.set_id(id_);
    const bool is_salvaged = snapshot_damaged_ && damaged_snapshot_ != nullptr && !stands_in_;
    if (is_salvaged) ENGRAM_TRY(salvage_snapshot(files_, *damaged_snapshot_, lines_));
    // The frames before were dropped because a snapshot had what they did.
    const bool journal_suffices =
        !findings_.segments.empty() && findings_.segments.front().first == 1;
    if (!has_snapshot_ && !is_salvaged && !journal_suffices) {
      lines_.emplace_back(
          "not repaired: without a snapshot the journal would have to go back to "
          "frame 1; a backup is needed");
      return {};
    }
    if (broken()) ENGRAM_TRY(cut_journal(files_, findings_, lines_));
    if (snapshot_damaged_ && !is_salvaged) {
      ENGRAM_TRY(
          cut_snapshot(files_, newest_is_there_ ? kSnapshotName : kPreviousSnapshotName, lines_));
    }
    ENGRAM_TRY(complete_journal(files, journal_end(), needed_, lines_));
    // Last: until now nothing of the journal's end is taken for a torn tail.
    return is_cut_off() ? cut_synced_mark(files_, lines_) : Status{};
  }

  std::vector<std::string>& lines() { return lines_; }

 private:
  [[nodiscard]] bool broken() const { return findings_.broken.has_value(); }

  /// Frames that were on disk cannot be replayed, whether they are damaged or not even there.
  [[nodiscard]] bool is_cut_off() const { return journal_end() <= findings_.synced; }

  /// The first frame that cannot be replayed.
  [[nodiscard]] Lsn journal_end() const {
    if (broken()) return findings_.broken->lost_from;
    const auto& segments = findings_.segments;
    return segments.empty() ? replay_from_ : std::max(segments.back().end.next, replay_from_);
  }

  Status look_at_snapshot() {
    const Status newest = look_at_snapshot(kSnapshotName);
    if (!newest) ENGRAM_TRY(without_snapshot(newest.error()));
    return look_at_previous();
  }

  Status look_at_snapshot(std::string_view name) {
    const auto snapshot = SnapshotFile::open(files_, id_, files_.path_of(name));
    if (!snapshot) return tl::unexpected(snapshot.error());
    const auto contents = examine_snapshot(**snapshot);
    if (!contents) return tl::unexpected(contents.error());
    has_snapshot_ = true;
    replay_from_ = (*snapshot)->replay_from();
    needed_ = contents->counters.journal_reaches;
    lines_.push_back(std::string(name) + ": sound, " + how_many((*snapshot)->bytes(), "byte") +
                     ", " + how_many(contents->strings, "string") + ", " +
                     how_many(contents->collections, "collection") +
                     ", to be replayed from frame " + std::to_string(replay_from_));
    return {};
  }

  /// The one before, if it was kept. It is needed where the newest is damaged.
  Status look_at_previous() {
    const auto is_there = has_previous(files_);
    if (!is_there) return tl::unexpected(is_there.error());
    if (*is_there && has_snapshot_) {
      lines_.emplace_back("snapshot.previous: kept in case the newest is damaged");
      return {};
    }
    if (*is_there && !foreign_) {
      const std::atomic<bool> cancelled = false;
      Status stands_in = verify_previous(files_, cancelled);
      if (stands_in) stands_in = look_at_snapshot(kPreviousSnapshotName);
      stands_in_ = stands_in.has_value();
      lines_.push_back(stands_in_ ? "snapshot.previous stands in: nothing is lost"
                                  : "snapshot.previous: " + stands_in.error().message);
      snapshot_damaged_ = snapshot_damaged_ || !stands_in_;
    }
    return {};
  }

  /// What of it may be read, and where the journal is needed from, is known if its table is sound.
  /// A journal that has everything is better; one that could not be written for a while has not.
  void look_past_damage() {
    const std::atomic<bool> cancelled = false;
    const auto has_another = has_previous(files_);  // looked at later
    if (has_another && !*has_another && verify_previous(files_, cancelled)) return;
    auto opened = open_damaged(files_, id_);
    if (!opened) return;
    damaged_snapshot_ = std::move(*opened);
    replay_from_ = damaged_snapshot_->replay_from();
    const auto counters = read_counters(*damaged_snapshot_->sections_of(kStoreOwner));
    if (counters) needed_ = counters->journal_reaches;
  }

  Status without_snapshot(const Error& why) {
    newest_is_there_ = why.code != ErrorCode::kNotFound;
    switch (why.code) {
      case ErrorCode::kNotFound:
        lines_.emplace_back("snapshot.engram: there is none");
        return {};
      case ErrorCode::kDataLoss:
        snapshot_damaged_ = true;
        lines_.push_back("snapshot.engram: damaged: " + why.message);
        look_past_damage();
        return {};
      case ErrorCode::kUnsupported:
        foreign_ = true;
        lines_.push_back("snapshot.engram: " + why.message);
        return {};
      default:
        return tl::unexpected(why);
    }
  }

  Status look_at_journal() {
    auto findings = examine_journal(files_, id_, replay_from_);
    if (!findings && findings.error().code == ErrorCode::kUnsupported) {
      foreign_ = true;
      lines_.push_back(findings.error().message);
      return {};
    }
    if (!findings) return tl::unexpected(findings.error());
    findings_ = *std::move(findings);
    for (const SegmentFindings& segment : findings_.segments) {
      const std::string path = files_.segment_path(segment.first);
      lines_.push_back(path.substr(path.rfind('/') + 1) + ": " + describe(segment));
    }
    describe_break();
    return {};
  }

  void describe_break() {
    if (findings_.segments.empty() && replay_from_ > 1) {
      lines_.push_back("the journal is missing: " + frames(replay_from_, std::nullopt) + kPartly);
      journal_missing_ = true;
    }
    if (is_cut_off() && !broken() && !journal_missing_) {
      lines_.push_back("the journal ends before " + frames(journal_end(), findings_.synced) +
                       ", which " + std::string(kSyncedName) + " says were on disk");
    }
    if (journal_end() <= needed_) {
      lines_.push_back("the snapshot is not whole without the journal up to frame " +
                       std::to_string(needed_) + ": it was taken while these were written");
      journal_short_ = true;
    }
    if (!broken() || findings_.broken->torn) return;
    const JournalBreak& broken = *findings_.broken;
    if (broken.offset == 0 && findings_.segments[broken.segment].first > broken.lost_from) {
      lines_.push_back("the journal lacks " +
                       frames(broken.lost_from, findings_.segments[broken.segment].first - 1));
    }
    lines_.push_back("cannot be replayed, and is lost when this is repaired: " +
                     frames(broken.lost_from, broken.lost_to) + (has_snapshot_ ? kPartly : ""));
  }

  Status look_at_other_files() {
    const auto names = files_.disk().list(files_.directory());
    if (!names) return tl::unexpected(names.error());
    for (const std::string& name : *names) {
      if (name == kLockName || name == kSnapshotName || name == kPreviousSnapshotName ||
          segment_lsn(name)) {
        continue;
      }
      const bool is_unfinished = name == kUnfinishedSnapshotName ||
                                 name == kUnfinishedSegmentName || name == kUnfinishedSyncedName;
      lines_.push_back(name +
                       (is_unfinished ? ": a file that was not finished; a server removes it"
                        : name == kSyncedName
                            ? ": frames up to " + std::to_string(findings_.synced) + " were on disk"
                        : name.ends_with(".cut") ? ": cut out by a repair"
                                                 : ": is no file of engram"));
    }
    return {};
  }

  const StoreFiles& files_;
  StoreId id_ = {};
  Lsn replay_from_ = 1;
  Lsn needed_ = 0;  // of the journal, by the snapshot
  bool has_snapshot_ = false;
  bool newest_is_there_ = true;
  bool snapshot_damaged_ = false;
  bool stands_in_ = false;                          // the previous snapshot, for the newest
  std::unique_ptr<SnapshotFile> damaged_snapshot_;  // of which some can be read; null: nothing
  bool journal_missing_ = false;
  bool journal_short_ = false;
  bool foreign_ = false;  // of another store or a newer version: not ours to judge
  JournalFindings findings_;
  std::vector<std::string> lines_;
};

}  // namespace

Result<CheckReport> check_store(FileSystem& disk, const std::string& directory, bool repair) {
  const auto names = disk.list(directory);
  if (!names) return tl::unexpected(names.error());
  if (!holds_store(*names)) return CheckReport{{directory + " holds no store of engram"}, false};
  const auto files = StoreFiles::inspect(disk, directory);
  if (!files) return tl::unexpected(files.error());
  Examination examination(**files);
  ENGRAM_TRY(examination.run());
  if (!repair) return CheckReport{std::move(examination.lines()), examination.damaged()};

  ENGRAM_TRY(examination.repair(**files));
  Examination after(**files);
  ENGRAM_TRY(after.run());
  return CheckReport{std::move(examination.lines()), after.damaged()};
}

}  // namespace engram
