// SPDX-License-Identifier: Apache-2.0
// Reads all of a journal and goes on where a server would stop.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "core/result.h"
#include "server/durability/segment_scan.h"
#include "server/durability/store_files.h"

namespace engram {

struct SegmentFindings {
  Lsn first;
  std::uint64_t bytes;
  bool needed;  ///< has frames that a server replays, or may have
  SegmentEnd end;
};

/// Where the replaying of a journal ends before the journal does.
struct JournalBreak {
  std::size_t segment;         ///< from this one on, among the findings
  std::uint64_t offset;        ///< within it; 0: all of it
  Lsn lost_from;               ///< the first frame that cannot be replayed
  std::optional<Lsn> lost_to;  ///< the last one, if that is known
  bool torn;                   ///< nothing but a torn tail: a server cuts it off by itself
};

struct JournalFindings {
  std::vector<SegmentFindings> segments;
  std::optional<JournalBreak> broken;
  Lsn synced = 0;  ///< the frames up to this one were on disk
};

/// Decodes every change of every frame. `from`: the first frame that is to be replayed. `id` as in
/// read_journal. Errors: kUnsupported for another store or a newer version, kIo.
Result<JournalFindings> examine_journal(const StoreFiles& files, StoreId& id, Lsn from);

}  // namespace engram
