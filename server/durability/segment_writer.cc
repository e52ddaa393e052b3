// SPDX-License-Identifier: Apache-2.0
#include "server/durability/segment_writer.h"

#include <algorithm>
#include <string>
#include <utility>

#include "server/durability/journal_format.h"
#include "server/durability/little_endian.h"
#include "server/durability/synced_mark.h"
#include "server/metrics/ticks.h"

namespace engram {

Status SegmentWriter::start() {
  return told(make_ready());
}

Status SegmentWriter::append(std::string_view& frames) {
  return told(append_frames(frames));
}

Status SegmentWriter::sync() {
  return told(sync_frames());
}

Status SegmentWriter::rotate() {
  return told(begin_segment());
}

/// Whatever has failed but a sync of frames can be done again.
Status SegmentWriter::told(Status outcome) const {
  if (outcome) return outcome;
  ErrorCode& code = outcome.error().code;
  if (failed_) {
    code = ErrorCode::kIo;
  } else if (code != ErrorCode::kNoSpace) {
    code = ErrorCode::kUnavailable;
  }
  return outcome;
}

Status SegmentWriter::make_ready() {
  ENGRAM_TRY(secure());
  return file_ == nullptr ? start_segment() : trim();
}

// ---- what others have written

Status SegmentWriter::secure() {
  if (secured_) return {};
  ENGRAM_TRY(adopt_segments());
  if (!segments_.empty()) ENGRAM_TRY(secure_newest());
  secured_ = true;
  synced_ = written();
  return {};
}

Status SegmentWriter::adopt_segments() {
  segments_.clear();
  const auto firsts = files_.segments();
  if (!firsts) return tl::unexpected(firsts.error());
  for (const Lsn first : *firsts) {
    if (first == next_) continue;  // it has no frames, and is begun afresh
    const std::string path = files_.segment_path(first);
    if (first > next_) return fail(ErrorCode::kDataLoss, path + " was not there at the start");
    const auto file = files_.disk().open_for_reading(path);
    if (!file) return tl::unexpected(file.error());
    segments_.push_back({first, (*file)->size()});
  }
  return {};
}

/// The process that wrote the newest segment may have died before it synced, or because that
/// failed: a reader saw what the disk has not. After a failure the system takes it for written, and
/// syncing once more would change nothing, so the segment is written anew. Without the space for
/// that it is only synced.
Status SegmentWriter::secure_newest() {
  FileSystem& disk = files_.disk();
  Status rewritten = rewrite_newest();
  if (rewritten) return {};
  // Left behind, it is removed at the next start.
  [[maybe_unused]] const Status removed = disk.remove(files_.unfinished_segment_path());
  if (rewritten.error().code != ErrorCode::kNoSpace || distrusted_) return rewritten;
  const auto newest = disk.open_for_append(files_.segment_path(segments_.back().first));
  if (!newest) return tl::unexpected(newest.error());
  Status synced = sync_file(**newest);
  distrusted_ = !synced;
  return synced;
}

Status SegmentWriter::rewrite_newest() {
  FileSystem& disk = files_.disk();
  const std::string path = files_.segment_path(segments_.back().first);
  const std::string unfinished = files_.unfinished_segment_path();
  const auto source = disk.open_for_reading(path);
  if (!source) return tl::unexpected(source.error());
  const auto content = FileContent::read(**source);
  if (!content) return tl::unexpected(content.error());
  const auto copy = disk.create(unfinished);
  if (!copy) return tl::unexpected(copy.error());
  ENGRAM_TRY((*copy)->append(content->bytes()));
  ENGRAM_TRY(sync_file(**copy));
  return disk.rename(unfinished, path);  // start_segment() syncs the directory
}

// ---- segments

Status SegmentWriter::start_segment() {
  ENGRAM_TRY(find_newest());
  FileSystem& disk = files_.disk();
  const std::string path = files_.segment_path(next_);
  const std::string header = encode_segment_header(files_.id(), next_);
  const auto create = [&]() -> Result<std::unique_ptr<WritableFile>> {
    auto file = disk.create(path);
    if (!file) return file;
    ENGRAM_TRY((*file)->append(as_span(header)));
    ENGRAM_TRY(sync_file(**file));
    ENGRAM_TRY(disk.sync_directory(files_.directory()));
    return file;
  };
  auto file = create();
  if (!file) {
    // The next attempt begins with a file of which the system does not think that it is synced.
    [[maybe_unused]] const Status removed = disk.remove(path);
    return tl::unexpected(std::move(file.error()));
  }
  segments_.push_back({next_, header.size()});
  file_ = std::move(*file);
  return {};
}

/// A directory that was removed and made again has a journal without its beginning, which nobody
/// could replay. A snapshot makes it whole.
Status SegmentWriter::find_newest() {
  if (segments_.empty()) return {};
  const auto firsts = files_.segments();
  if (!firsts) return tl::unexpected(firsts.error());
  if (std::binary_search(firsts->begin(), firsts->end(), segments_.back().first)) return {};
  if (next_ > covered_) {
    return fail(ErrorCode::kUnavailable, files_.segment_path(segments_.back().first) +
                                             " has been removed; VSAVE saves everything anew");
  }
  segments_.clear();
  return {};
}

Status SegmentWriter::append_frames(std::string_view& frames) {
  ENGRAM_TRY(make_ready());
  while (!frames.empty()) {
    const std::uint64_t used = file_->size();
    const std::uint64_t room = segment_bytes_ > used ? segment_bytes_ - used : 0;
    std::size_t bytes = whole_frames(frames, room).bytes;
    if (bytes == 0 && next_ != segments_.back().first) {
      ENGRAM_TRY(begin_segment());
      continue;
    }
    if (bytes == 0) bytes = first_frame_bytes(frames);
    ENGRAM_TRY(append_run(frames, bytes));
  }
  return {};
}

Status SegmentWriter::append_run(std::string_view& frames, std::size_t bytes) {
  const std::uint64_t start = file_->size();
  Status appended = file_->append(as_span(frames.substr(0, bytes)));
  const FrameRun run = whole_frames(frames, file_->size() - start);
  frames.remove_prefix(run.bytes);
  next_ += run.count;
  segments_.back().bytes = start + run.bytes;
  // At once, because a process that ends now should leave no torn tail; else before the next frame.
  if (!appended) {
    [[maybe_unused]] const Status trimmed = trim();
  }
  return appended;
}

/// Cuts off what was written of a frame: it would be damage once frames follow it.
Status SegmentWriter::trim() {
  const std::uint64_t whole = segments_.back().bytes;
  if (file_->size() == whole) return {};
  return file_->truncate(whole);
}

Status SegmentWriter::sync_frames() {
  ENGRAM_TRY(secure());
  if (synced_ == written()) return {};
  Status synced = sync_file(*file_);
  failed_ = !synced;
  if (failed_) return synced;
  synced_ = written();
  return {};
}

Status SegmentWriter::sync_file(WritableFile& file) {
  ++syncs_;
  const std::uint64_t begun = ticks_now();
  Status synced = file.sync();
  sync_durations_.record(ns_between(begun, ticks_now()));
  return synced;
}

Status SegmentWriter::begin_segment() {
  ENGRAM_TRY(secure());
  if (file_ != nullptr) {
    ENGRAM_TRY(trim());
    if (next_ == segments_.back().first) return {};
    ENGRAM_TRY(sync_frames());
    file_.reset();
  }
  return start_segment();
}

void SegmentWriter::remove_before(Lsn lsn) {
  covered_ = std::max(covered_, lsn);
  // Oldest first: what a crash leaves has no gap.
  while (segments_.size() > 1 && segments_[1].first <= lsn) {
    if (!files_.disk().remove(files_.segment_path(segments_.front().first))) return;
    segments_.erase(segments_.begin());
  }
}

void SegmentWriter::note_synced() {
  if (is_noted()) return;
  [[maybe_unused]] const Status written = write_synced_mark(files_, synced_);
  noted_ = synced_;
}

std::uint64_t SegmentWriter::bytes() const noexcept {
  std::uint64_t sum = 0;
  for (const Segment& segment : segments_) sum += segment.bytes;
  return sum;
}

}  // namespace engram
