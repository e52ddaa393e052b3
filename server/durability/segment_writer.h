// SPDX-License-Identifier: Apache-2.0
// The files of a journal that is being written.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "server/durability/file_system.h"
#include "server/durability/store_files.h"
#include "server/metrics/histogram.h"

namespace engram {

/// One thread at a time. Errors of all members: kIo after a sync of frames has failed, which is
/// final. Everything else may pass, and the same may be tried again: kNoSpace, kUnavailable.
class SegmentWriter {
 public:
  /// Will write from frame `next` on, behind the segments that are there. `segment_bytes`: where a
  /// segment ends, unless a single frame is larger. Touches no file.
  SegmentWriter(const StoreFiles& files, Lsn next, std::uint64_t segment_bytes)
      : files_(files), segment_bytes_(segment_bytes), next_(next) {}

  /// Has a segment that frames can be appended to. The others do this, too.
  Status start();

  /// Writes whole frames and takes them off the front of `frames`: all, or after an error those
  /// that were written.
  Status append(std::string_view& frames);

  /// Returns when what was appended is on the disk.
  Status sync();

  /// Begins a new segment unless the present one has no frames.
  Status rotate();

  /// Removes the segments whose frames all come before `lsn`. One that cannot be removed is left
  /// for the next time: it does no harm.
  void remove_before(Lsn lsn);

  [[nodiscard]] Lsn written() const noexcept { return next_ - 1; }
  /// Before start() has succeeded nobody knows: 0.
  [[nodiscard]] Lsn synced() const noexcept { return synced_; }

  /// Notes beside the journal what is on disk, unless the note says so. Without it a damaged end
  /// of the journal looks like one that was never whole, so a failure does no other harm.
  void note_synced();
  [[nodiscard]] bool is_noted() const noexcept { return noted_ == synced_; }

  /// Of all segments.
  [[nodiscard]] std::uint64_t bytes() const noexcept;

  /// Calls of WritableFile::sync so far.
  [[nodiscard]] std::uint64_t syncs() const noexcept { return syncs_; }
  /// What they took, in nanoseconds. Any thread.
  [[nodiscard]] const Histogram& sync_durations() const noexcept { return sync_durations_; }

 private:
  struct Segment {
    Lsn first;
    std::uint64_t bytes;
  };

  Status told(Status outcome) const;
  Status make_ready();
  Status secure();
  Status adopt_segments();
  Status secure_newest();
  Status rewrite_newest();
  Status start_segment();
  Status find_newest();
  Status append_frames(std::string_view& frames);
  Status append_run(std::string_view& frames, std::size_t bytes);
  Status trim();
  Status sync_frames();
  Status begin_segment();
  Status sync_file(WritableFile& file);

  const StoreFiles& files_;
  const std::uint64_t segment_bytes_;
  std::vector<Segment> segments_;       // ascending; the last is written to if file_ is set
  std::unique_ptr<WritableFile> file_;  // null as long as a new segment could not be begun
  Lsn next_;                            // of the next frame to be written
  Lsn synced_ = 0;
  Lsn noted_ = 0;            // the last value of synced_ that was noted, or could not be
  Lsn covered_ = 0;          // frames before this one are not needed any more
  bool secured_ = false;     // what others have written is on the disk
  bool distrusted_ = false;  // the system says that the newest of it is, and may be wrong
  bool failed_ = false;      // for ever
  std::uint64_t syncs_ = 0;
  Histogram sync_durations_;
};

}  // namespace engram
