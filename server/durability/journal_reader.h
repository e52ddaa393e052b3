// SPDX-License-Identifier: Apache-2.0
// Reads a journal back, and tells a torn tail from damage.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/result.h"
#include "server/durability/segment_scan.h"
#include "server/durability/store_files.h"

namespace engram {

/// Bytes at the end of the last segment that a crash left half-written.
struct TornTail {
  std::string path;
  std::uint64_t
      offset;  ///< where the last whole frame ends; 0: not even the segment's header is whole
  std::uint64_t bytes;  ///< behind it
};

struct JournalEnd {
  Lsn next = 1;  ///< of the frame that comes next, `from` if the journal ends before that
  std::optional<TornTail> torn;
  std::uint64_t frames = 0;  ///< that were visited
};

/// Visits the frames from `from` on, which the segments must reach back to, in their order. `id` is
/// the store's; all zero: it is taken from the first segment.
/// Errors: kDataLoss for damage and missing segments (the message has file, offset and the command
/// that repairs); kUnsupported for a newer version or another store; kIo; those of the visitor, of
/// which kDataLoss counts as damage.
Result<JournalEnd> read_journal(const StoreFiles& files, StoreId& id, Lsn from,
                                const FrameVisitor& visit);

/// Cuts a torn tail off, on the disk too; removes a segment of which nothing is whole.
Status cut(const StoreFiles& files, const TornTail& torn);

}  // namespace engram
