// SPDX-License-Identifier: Apache-2.0
// What a server does before it serves: maps the snapshot, and repeats the journal from there.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "core/result.h"
#include "server/durability/row_files.h"
#include "server/durability/snapshot_file.h"
#include "server/durability/store_files.h"

namespace engram {

class Keyspace;
class WorkerPool;

/// What recovery needs beside the files.
struct RecoveryContext {
  Keyspace& keyspace;   ///< empty, its time at 0, so that nothing expires
  WorkerPool& workers;  ///< of the calling thread
  std::string kernel_name;
  /// Returns when poll_completions() of the workers has something to do.
  std::function<void()> wait_for_workers;
  const RowFiles* row_files;  ///< outlives the keyspace
};

struct Recovered {
  std::unique_ptr<SnapshotFile> snapshot;  ///< whose placed sections are not verified; or null
  bool is_newest = false;                  ///< it is not the previous one, which stood in
  Lsn next = 1;                            ///< of the first frame to be written
  std::uint64_t frames = 0;                ///< that were repeated
};

/// Brings the store's state into the keyspace. Where the newest snapshot is damaged, and the
/// previous one and the journal since were kept, it comes from these, and nothing is lost. A torn
/// tail of the journal is cut off and reported in the log. A collection that cannot be restored,
/// because it is damaged or this build does not know its primitive, has its damage set and is
/// empty; see restored_collections.h. `files` gets the store's identity, a new one if there is
/// nothing yet. Errors: kDataLoss for damage of what belongs to no collection, kUnsupported for
/// another version or store, kIo, kResourceExhausted.
Result<Recovered> recover(StoreFiles& files, const RecoveryContext& context);

}  // namespace engram
