// SPDX-License-Identifier: Apache-2.0
// One snapshot, taken on a thread of its own while the server goes on.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/result.h"
#include "server/durability/store_files.h"
#include "server/runtime/loop_tasks.h"

namespace engram {

class Collection;
class Keyspace;
class CollectionPacker;
class SnapshotWriter;

/// Threads: the event loop's only.
class SnapshotJob {
 public:
  struct Outcome {
    Status status = {};
    std::uint64_t bytes = 0;                      ///< of the file
    std::optional<Status> linked = std::nullopt;  ///< the one before as the previous one, if asked
  };

  /// Has everything recorded so far synced, then calls `done` on the loop with the LSN of the
  /// newest frame among it.
  using SyncJournal = std::function<void(std::function<void(const Result<Lsn>&)> done)>;

  struct Context {
    Keyspace& keyspace;
    FileSystem& disk;
    /// Of the store. Null: it is in memory only; it is copied then, and nobody writes meanwhile.
    const StoreFiles* files;
    LoopTasks& loop;
    SyncJournal sync_journal;
    /// Every change of a frame before this one has been carried out; those from it on may be in the
    /// snapshot or not.
    Lsn replay_from;
    /// Where to copy the store to instead; empty: the snapshot becomes that of the store.
    std::string copy_directory = {};
    bool links_newest = false;  ///< as the previous one
  };

  struct Listed {
    std::string name;
    std::int64_t expires_ms;
    std::shared_ptr<Collection> collection;
    bool is_small;  ///< saved in a moment
  };

  /// The collections of this moment, which is that of `replay_from`: what the frames from it on
  /// move or erase, a replay has to find where it was.
  static std::vector<Listed> list_collections(Keyspace& keyspace);

  /// Begins to save `collections`, and all strings. `done` is called on the loop, some time later,
  /// unless that ends first.
  SnapshotJob(Context context, std::vector<Listed> collections,
              const std::function<void(const Outcome&)>& done);

  /// Waits for its thread, which gives up if it has not ended; `loop` was closed then. An
  /// unfinished file is removed.
  ~SnapshotJob();
  SnapshotJob(const SnapshotJob&) = delete;
  SnapshotJob& operator=(const SnapshotJob&) = delete;

 private:
  Outcome write();
  Outcome write_copy();
  Outcome write_to(const StoreFiles& files);
  Result<std::unique_ptr<StoreFiles>> open_target();
  Status save_strings(SnapshotWriter& writer);
  std::uint64_t take_strings(std::uint64_t cursor, std::string& out);
  Status save_collections(CollectionPacker& packer);
  Status save_group(std::span<const Listed> group, CollectionPacker& packer);
  Status save_collection(const Listed& listed, CollectionPacker& packer);
  Status save_creations(SnapshotWriter& writer);
  void erase_expired();
  Result<Lsn> sync_journal();
  Status save_counters(SnapshotWriter& writer);

  const Context context_;
  const std::int64_t begun_ms_;
  std::vector<Listed> collections_;
  const std::uint64_t next_collection_id_;
  Lsn journal_reaches_ = 0;
  std::atomic<bool> cancelled_ = false;
  std::thread thread_;
};

}  // namespace engram
