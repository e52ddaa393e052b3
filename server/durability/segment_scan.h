// SPDX-License-Identifier: Apache-2.0
// Reads one segment of the journal as far as it can be read, and judges how it ends.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "core/result.h"
#include "server/durability/store_files.h"
#include "server/durability/synced_mark.h"

namespace engram {

/// Called for each frame with its body; an error ends the reading.
using FrameVisitor = std::function<Status(Lsn lsn, std::string_view changes)>;

struct SegmentEnd {
  enum class Kind {
    kWhole,    ///< the file ends behind a frame
    kTorn,     ///< a crash left the rest half-written
    kDamaged,  ///< the rest, or part of it, was whole once
  };
  Kind kind;
  Lsn next;              ///< of the frame that was expected at the end
  std::uint64_t offset;  ///< where whole frames end; 0: not even the header is whole
  std::string reason;    ///< unless whole: a clause that follows the file's name
};

/// Visits the frames of a segment, whose whole content is `bytes` and whose first frame is `first`.
/// Only the newest segment of a journal can be torn, behind what `mark` says was on disk. `id` is
/// the store's; all zero: it is taken from the header. An error of the visitor counts as damage if
/// its code is kDataLoss. Errors: kUnsupported for a segment of another store or a newer version;
/// other errors of the visitor. The messages follow the file's name.
Result<SegmentEnd> scan_segment(std::string_view bytes, Lsn first, bool newest,
                                const SyncedMark& mark, StoreId& id, const FrameVisitor& visit);

}  // namespace engram
