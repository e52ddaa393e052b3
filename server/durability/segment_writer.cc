// SPDX-License-Identifier: Apache-2.0
#include "server/durability/segment_writer.h"

#include <algorithm>
#include <string>
#include <utility>

#include "core/assert.h"
#include "server/durability/journal_format.h"
#include "server/durability/little_endian.h"

namespace engram {
namespace {

/// Of all that may fail only a full disk passes by itself.
tl::unexpected<Error> final_failure(Error error) {
  return fail(ErrorCode::kIo, std::move(error.message));
}

}  // namespace

Result<std::unique_ptr<SegmentWriter>> SegmentWriter::open(const StoreFiles& files, Lsn next,
                                                           std::uint64_t segment_bytes) {
  std::unique_ptr<SegmentWriter> writer(new SegmentWriter(files, next, segment_bytes));
  ENGRAM_TRY(writer->adopt_segments());
  ENGRAM_TRY(writer->start_segment());
  return writer;
}

Status SegmentWriter::adopt_segments() {
  const auto firsts = files_.segments();
  if (!firsts) return tl::unexpected(firsts.error());
  for (const Lsn first : *firsts) {
    ENGRAM_ASSERT(first <= next_);
    if (first == next_) continue;  // it has no frames, and is begun afresh
    const auto file = files_.disk().open_for_reading(files_.segment_path(first));
    if (!file) return tl::unexpected(file.error());
    segments_.push_back({first, (*file)->size()});
  }
  return segments_.empty() ? Status{} : secure_newest();
}

/// The process that wrote the newest segment may have died before it synced, or because that
/// failed: a reader saw what the disk has not. After a failure the system takes it for written, and
/// syncing once more would change nothing, so the segment is written anew. Without the space for
/// that it is only synced.
Status SegmentWriter::secure_newest() {
  FileSystem& disk = files_.disk();
  const std::string path = files_.segment_path(segments_.back().first);
  const std::string unfinished = files_.unfinished_segment_path();
  const auto rewrite = [&]() -> Status {
    const auto source = disk.open_for_reading(path);
    if (!source) return tl::unexpected(source.error());
    const auto copy = disk.create(unfinished);
    if (!copy) return tl::unexpected(copy.error());
    const auto content = FileContent::read(**source);
    if (!content) return tl::unexpected(content.error());
    ENGRAM_TRY((*copy)->append(content->bytes()));
    ENGRAM_TRY(sync_file(**copy));
    return disk.rename(unfinished, path);  // start_segment() syncs the directory
  };
  Status rewritten = rewrite();
  if (rewritten || rewritten.error().code != ErrorCode::kNoSpace) return rewritten;
  ENGRAM_TRY(disk.remove(unfinished));
  const auto newest = disk.open_for_append(path);
  if (!newest) return tl::unexpected(newest.error());
  return sync_file(**newest);
}

Status SegmentWriter::start_segment() {
  const std::string header = encode_segment_header(files_.id(), next_);
  auto file = files_.disk().create(files_.segment_path(next_));
  if (!file) return tl::unexpected(std::move(file.error()));
  ENGRAM_TRY((*file)->append(as_span(header)));
  ENGRAM_TRY(sync_file(**file));
  if (Status synced = files_.disk().sync_directory(files_.directory()); !synced) {
    return final_failure(std::move(synced.error()));
  }
  segments_.push_back({next_, header.size()});
  file_ = std::move(*file);
  return {};
}

Status SegmentWriter::append(std::string_view& frames) {
  while (!frames.empty()) {
    if (file_ == nullptr) ENGRAM_TRY(start_segment());
    const std::uint64_t used = file_->size();
    const std::uint64_t room = segment_bytes_ > used ? segment_bytes_ - used : 0;
    std::size_t bytes = whole_frames(frames, room).bytes;
    if (bytes == 0 && next_ != segments_.back().first) {
      ENGRAM_TRY(rotate());
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
  if (!appended && appended.error().code != ErrorCode::kNoSpace) {
    return final_failure(std::move(appended.error()));
  }
  const FrameRun run = whole_frames(frames, file_->size() - start);
  if (!appended) {
    // What is left of the next frame would be damage once frames follow it.
    if (Status cut = file_->truncate(start + run.bytes); !cut) {
      return final_failure(std::move(cut.error()));
    }
  }
  frames.remove_prefix(run.bytes);
  next_ += run.count;
  segments_.back().bytes = file_->size();
  return appended;
}

Status SegmentWriter::sync() {
  if (synced_ == written()) return {};
  ENGRAM_TRY(sync_file(*file_));
  synced_ = written();
  return {};
}

Status SegmentWriter::sync_file(WritableFile& file) {
  ++syncs_;
  if (Status synced = file.sync(); !synced) return final_failure(std::move(synced.error()));
  return {};
}

Status SegmentWriter::rotate() {
  if (file_ != nullptr) {
    if (next_ == segments_.back().first) return {};
    ENGRAM_TRY(sync());
    file_.reset();
  }
  return start_segment();
}

void SegmentWriter::remove_before(Lsn lsn) {
  // Oldest first: what a crash leaves has no gap.
  while (segments_.size() > 1 && segments_[1].first <= lsn) {
    if (!files_.disk().remove(files_.segment_path(segments_.front().first))) return;
    segments_.erase(segments_.begin());
  }
}

std::uint64_t SegmentWriter::bytes() const noexcept {
  std::uint64_t sum = 0;
  for (const Segment& segment : segments_) sum += segment.bytes;
  return sum;
}

}  // namespace engram
