// SPDX-License-Identifier: Apache-2.0
// Repeats the journal on top of a snapshot. The rule: a change may be in the snapshot already, and
// so may what came after it, but the last word on every key is the journal's. So a change is
// carried out unless it can be seen to have been, and puts that cannot be yet are DisplacedPuts.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "server/durability/change.h"
#include "server/durability/store_files.h"
#include "server/engine/displaced_puts.h"
#include "server/engine/pending_work.h"
#include "server/engine/restored_collections.h"

namespace engram {

class Keyspace;

/// Threads: the one that recovers.
class JournalReplayer {
 public:
  /// All of it outlives this.
  JournalReplayer(Keyspace& keyspace, RestoredCollections& collections, PendingWork& work)
      : keyspace_(keyspace), collections_(collections), work_(work) {}

  /// Repeats the frames in order. Errors: kDataLoss for a change that no server records,
  /// kResourceExhausted.
  Status repeat_frame(Lsn lsn, std::string_view changes);

  /// After the last frame.
  Status finish();

 private:
  Status repeat_all(std::string_view changes);
  template <class KeyspaceChange>
  Status apply(const KeyspaceChange& change);
  Status apply(const NewCollection& change);
  Status apply(const PutVector& change);
  Status apply(const EraseVector& change);
  Status apply(const TuneIndex& change);
  Status apply(const SetStrength& change);
  Status apply(const SetAttributes& change);
  Status read_vector(const PutVector& change, std::size_t dim);
  Status make_free(Collection& collection, Slot slot);

  Keyspace& keyspace_;
  RestoredCollections& collections_;
  PendingWork& work_;
  DisplacedPuts displaced_;
  std::vector<float> vector_;  // of the put that is being repeated
};

}  // namespace engram
