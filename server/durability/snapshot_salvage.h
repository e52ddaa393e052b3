// SPDX-License-Identifier: Apache-2.0
// Writes a damaged snapshot anew, without what is damaged.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/result.h"
#include "server/durability/snapshot_file.h"
#include "server/durability/store_files.h"

namespace engram {

/// The newest snapshot if its table of contents is sound, whatever else is damaged. Errors: those
/// of SnapshotFile::open().
Result<std::unique_ptr<SnapshotFile>> open_damaged(const StoreFiles& files, StoreId& id);

/// Puts a sound snapshot in the place of a damaged one, which is kept in a .cut file. A collection
/// with a damaged section is left out, and what follows the first damaged block of the store's own
/// sections. Appends what was done, and what is lost, to `lines`. `files` names the store. Errors:
/// kNoSpace, kIo; it may be tried again then.
Status salvage_snapshot(const StoreFiles& files, const SnapshotFile& damaged,
                        std::vector<std::string>& lines);

}  // namespace engram
