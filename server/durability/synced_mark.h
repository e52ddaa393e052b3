// SPDX-License-Identifier: Apache-2.0
// The note beside a journal of how much of it was on disk. A frame says what was on disk when it
// was made; of the last frames only the note does.
#pragma once

#include "core/result.h"
#include "server/durability/store_files.h"

namespace engram {

struct SyncedMark {
  StoreId store = {};
  Lsn lsn = 0;

  /// Every frame of the store up to this one was on disk; 0 if the note is of another store. An
  /// unknown store is that of the note.
  [[nodiscard]] Lsn of(const StoreId& id) const noexcept {
    return id == store || id == StoreId{} ? lsn : 0;
  }
};

/// Replaces the note. It is not synced: what it says is true before it is on disk, and after.
/// Errors: kNoSpace, kIo.
Status write_synced_mark(const StoreFiles& files, Lsn lsn);

/// An LSN of 0 if there is no note, or it cannot be understood. Errors: kIo.
Result<SyncedMark> read_synced_mark(const StoreFiles& files);

}  // namespace engram
