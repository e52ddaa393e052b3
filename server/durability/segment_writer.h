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

namespace engram {

/// One thread at a time. Errors of all members: after kNoSpace the same may be tried again; after
/// kIo the writer must not be used any more.
class SegmentWriter {
 public:
  /// Starts a segment at `next`, behind those that are there. `segment_bytes`: where a segment
  /// ends, unless a single frame is larger.
  static Result<std::unique_ptr<SegmentWriter>> open(const StoreFiles& files, Lsn next,
                                                     std::uint64_t segment_bytes);

  /// Writes whole frames and takes them off the front of `frames`: all, or on kNoSpace those for
  /// which there was room.
  Status append(std::string_view& frames);

  /// Returns when what was appended is on the disk.
  Status sync();

  /// Begins a new segment unless the present one has no frames.
  Status rotate();

  /// Removes the segments whose frames all come before `lsn`. One that cannot be removed is left
  /// for the next time: it does no harm.
  void remove_before(Lsn lsn);

  [[nodiscard]] Lsn written() const noexcept { return next_ - 1; }
  [[nodiscard]] Lsn synced() const noexcept { return synced_; }

  /// Of all segments.
  [[nodiscard]] std::uint64_t bytes() const noexcept;

  /// Calls of WritableFile::sync so far.
  [[nodiscard]] std::uint64_t syncs() const noexcept { return syncs_; }

 private:
  struct Segment {
    Lsn first;
    std::uint64_t bytes;
  };

  SegmentWriter(const StoreFiles& files, Lsn next, std::uint64_t segment_bytes)
      : files_(files), segment_bytes_(segment_bytes), next_(next), synced_(next - 1) {}

  Status adopt_segments();
  Status secure_newest();
  Status start_segment();
  Status append_run(std::string_view& frames, std::size_t bytes);
  Status sync_file(WritableFile& file);

  const StoreFiles& files_;
  const std::uint64_t segment_bytes_;
  std::vector<Segment> segments_;       // ascending; the last is written to if file_ is set
  std::unique_ptr<WritableFile> file_;  // null after a new segment could not be begun
  Lsn next_;                            // of the next frame to be written
  Lsn synced_;
  std::uint64_t syncs_ = 0;
};

}  // namespace engram
