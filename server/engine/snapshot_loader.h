// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/result.h"
#include "server/durability/snapshot_file.h"
#include "server/durability/store_files.h"
#include "server/engine/pending_work.h"
#include "server/engine/restored_collections.h"

namespace engram {

class Keyspace;

/// Brings the strings and collections of a snapshot into an empty keyspace. Rows and links are
/// mapped, not read; an index that saves no structure is rebuilt by `work`. Returns the LSN that
/// the journal has to reach for the snapshot to be whole.
///
/// Errors: kDataLoss for damage of what belongs to no collection; kResourceExhausted. A collection
/// that cannot be loaded goes into quarantine.
Result<Lsn> load_snapshot(const SnapshotFile& snapshot, Keyspace& keyspace,
                          RestoredCollections& collections, PendingWork& work);

}  // namespace engram
