// SPDX-License-Identifier: Apache-2.0
// Takes out of a store what cannot be read. Nothing is deleted: it is kept in .cut files, and it is
// there, on the disk, before it is taken out.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "server/durability/journal_check.h"
#include "server/durability/store_files.h"

namespace engram {

/// "1 frame", "2 frames": for what is said of it.
std::string how_many(std::uint64_t number, const std::string& thing);

/// Ends the journal at the break. Appends what was done to `lines`. Errors: kNoSpace, kIo; it may
/// be tried again then.
Status cut_journal(const StoreFiles& files, const JournalFindings& findings,
                   std::vector<std::string>& lines);

/// Takes the snapshot of this name away. As above; kNotFound if there is none.
Status cut_snapshot(const StoreFiles& files, std::string_view name,
                    std::vector<std::string>& lines);

/// Gives the snapshot the name of a .cut file as well, or copies it where files have one name. As
/// above.
Status copy_snapshot_aside(const StoreFiles& files, std::vector<std::string>& lines);

/// Takes the note away that frames were on disk. As above.
Status cut_synced_mark(const StoreFiles& files, std::vector<std::string>& lines);

/// Makes a journal that ends before frame `next` one that a snapshot is read with: begins it if
/// there is none, and fills it up to frame `needed` with frames that change nothing. As above.
Status complete_journal(StoreFiles& files, Lsn next, Lsn needed, std::vector<std::string>& lines);

}  // namespace engram
