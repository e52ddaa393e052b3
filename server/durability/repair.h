// SPDX-License-Identifier: Apache-2.0
// Takes out of a store what cannot be read. Nothing is deleted: it is kept in .cut files, and it is
// there, on the disk, before it is taken out.
#pragma once

#include <string>
#include <vector>

#include "core/result.h"
#include "server/durability/journal_check.h"
#include "server/durability/store_files.h"

namespace engram {

/// Ends the journal at the break. Appends what was done to `lines`. Errors: kNoSpace, kIo; it may
/// be tried again then.
Status cut_journal(const StoreFiles& files, const JournalFindings& findings,
                   std::vector<std::string>& lines);

/// Takes the snapshot away. As above.
Status cut_snapshot(const StoreFiles& files, std::vector<std::string>& lines);

/// Begins a journal with frame `next` if there is none; a snapshot is not read without one. As
/// above.
Status begin_missing_journal(StoreFiles& files, Lsn next, std::vector<std::string>& lines);

}  // namespace engram
