// SPDX-License-Identifier: Apache-2.0
// What an index name means to a client: keys, vectors, and a retrieval primitive over them. Keys,
// overwrites, deletion and the reuse of memory are solved here once, for every primitive.
//
// A write takes a slot and stores its row, then becomes a job: a worker inserts the slot into the
// index and erases the one that it replaces; back on the event loop the key is made to point at the
// new slot. The old one is reclaimed by the index if the primitive wants that (Traits), and reused
// after a grace period, when no running operation can see it any more.
//
// Every change is told to a ChangeSink before it is begun. A collection can be saved while it is
// written to: collection_save.cc.
//
// For a moment two versions of a key are in the index. A search that overlaps an overwrite may meet
// both, or, passing the place of each at the wrong time, neither; read_view.cc reconciles what it
// has found with what was replaced meanwhile, so that it answers every key once. A recall, which
// sums over items, is told which they are: collection_recall.cc.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/index.h"
#include "core/make_index.h"
#include "core/recall.h"
#include "core/result.h"
#include "core/scratch.h"
#include "core/slot_set.h"
#include "core/vector_store.h"
#include "server/engine/access_gate.h"
#include "server/engine/change_sink.h"
#include "server/engine/collection_changes.h"
#include "server/engine/grace_period.h"
#include "server/engine/key_order.h"
#include "server/engine/key_table.h"
#include "server/engine/read_view.h"
#include "server/engine/replacements.h"
#include "server/engine/slot_entry.h"
#include "server/runtime/worker_pool.h"

namespace engram {

/// What VNEW chose.
using CollectionSpec = IndexSpec;

/// What a collection is made in.
struct CollectionContext {
  WorkerPool& workers;         ///< outlives the collection
  std::uint64_t id;            ///< no two collections of a store have the same
  std::uint64_t hash_seed;     ///< randomizes the key table
  ChangeSink* sink = nullptr;  ///< is told of changes to the content; null: nobody is
};

/// Threads: the event loop's only, except where a member says otherwise.
class Collection : public std::enable_shared_from_this<Collection> {
 public:
  /// Errors: those of make_index().
  static Result<std::shared_ptr<Collection>> create(CollectionSpec spec,
                                                    const CollectionContext& context);
  ~Collection();
  Collection(const Collection&) = delete;
  Collection& operator=(const Collection&) = delete;

  /// What it was made from. Any thread.
  const CollectionSpec& spec() const noexcept { return spec_; }

  /// How many keys it holds.
  std::size_t size() const noexcept { return keys_.size(); }

  class PutBatch;

  /// Removes `key`, then calls `done` with whether it was there.
  void erase(std::string_view key, std::function<void(bool)> done);

  /// The vector of `key` as it was given (row.h says how exactly), or nothing.
  std::optional<std::vector<float>> get(std::string_view key) const;

  /// Runs `work` on a worker as soon as the index may be read, then `done` on the event loop.
  using ReadWork = std::function<void(const ReadView&, Scratch&)>;
  void read(ReadWork work, std::function<void()> done);

  // Recalling requires a primitive with Traits::recalls.

  /// As read(), with the RecallParams::items to recall by, so that the work meets every key once.
  /// Errors: kResourceExhausted, and nothing was begun.
  using RecallWork = std::function<void(const ReadView&, const SlotSet* items, Scratch&)>;
  Status recall(RecallWork work, std::function<void()> done);

  /// Surveys the items as they are now, whatever is written meanwhile; other operations get their
  /// turn between its steps. `finish` is called on a worker after the last one, and then `done` on
  /// the event loop; after an error only `done`. params.items is set here; params.options outlives
  /// the survey. Errors: those of Recaller::survey(); kResourceExhausted.
  using SurveyWork = std::function<void(const ReadView&, const Survey&)>;
  void survey(const SurveyParams& params, SurveyWork finish, std::function<void(Status)> done);

  /// Has the index recall by these numbers from now on, and after a restart; then calls `done`.
  /// Errors: kInvalidArgument for one that is not finite, and then nothing has changed.
  Status tune(Tuning tuning, std::function<void()> done);

  /// No two collections of a store have the same. Any thread.
  std::uint64_t id() const noexcept { return context_.id; }
  void set_change_sink(ChangeSink* sink) noexcept { changes_.set_sink(sink); }

  /// Rises when a change to the content begins, and again when it has been carried out.
  std::uint64_t version() const noexcept { return changes_.version(); }

  std::string_view kernel_name() const noexcept { return kernel_->name(); }

  /// Slots ever used: the most that were taken at once, by vectors or by what waits to be reused.
  std::size_t slots() const noexcept { return store_->slot_end(); }

  /// Bytes of vectors and keys, without the index.
  std::size_t memory_bytes() const noexcept;

  /// The mean length of its keys in bytes, 0 if it is empty.
  std::size_t mean_key_bytes() const noexcept { return size() == 0 ? 0 : key_bytes_ / size(); }

  /// Forgets the operations that have not started, after which nothing refers to this collection
  /// but its owner and the operations that run. For shutdown: no more may begin.
  void abandon_waiting();

  /// Slots in use that are not the place of a key: being written, or erased and not yet let go of.
  std::size_t unsettled() const noexcept { return store_->live() - freed_.size() - keys_.size(); }

  // Saving. Until end_save(), no slot is given back, so that rows and links stay what they are
  // while save() reads them; everything else goes on.

  /// Calls `ready` once save() may begin. One save at a time, and none while settle() waits.
  void begin_save(std::function<void()> ready);
  /// Writes all that is committed when it is called; a write that is committed meanwhile may be
  /// part of it or not. Any one thread, between `ready` and end_save(). Errors: those of the
  /// writer.
  Status save(SectionWriter& writer) const;
  void end_save();

  // Repeating what a journal says.

  /// Whether PutBatch::add() may be asked for this slot.
  bool is_free(Slot slot) const noexcept { return store_->is_free(slot); }
  /// Whether it is the place of a key.
  bool is_held(Slot slot) const noexcept { return current_.contains(slot); }

  /// Makes all slots free that hold nothing, which takes until the operations that run have ended,
  /// then calls `done`. Not beside a save. Errors: those of Index::reclaim().
  void settle(std::function<void(Status)> done);

  /// Fills a new collection with what save() wrote. An index that saves no structure is left empty:
  /// rebuild() fills it. Errors: kDataLoss, kResourceExhausted; the collection is of no use then.
  Status load(SectionReader& reader);
  /// Inserts every loaded vector into the index, on the workers, then calls `done` with the first
  /// error.
  void rebuild(std::function<void(Status)> done);

  /// Whether `key` holds `vector` in `slot` already, bit for bit, and no write to it is under way.
  bool holds(std::string_view key, std::span<const float> vector, Slot slot) const;

  /// Why the content cannot be trusted; empty if it can.
  const std::string& damage() const noexcept { return damage_; }
  void set_damage(std::string reason) { damage_ = std::move(reason); }

 private:
  using Access = AccessGate::Access;
  class Operation;
  struct SurveyRun;

  Collection(CollectionSpec spec, const CollectionContext& context);
  Status build();

  using InProgress = CollectionChanges::InProgress;

  Access write_access() const noexcept;
  void write(std::function<void(Scratch&)> work, std::function<void()> done);
  void run(Access access, Lane lane, std::function<void(Scratch&)> work,
           std::function<void()> done);

  void start_erase(const std::string& key, const std::function<void(bool)>& done,
                   const InProgress& change);
  Result<Slot> take_slot(Slot wanted);
  Result<SlotEntry*> stage(std::string_view key, std::span<const float> vector, Slot wanted);
  Status insert(const SlotEntry& entry, Slot replaced, Scratch& scratch);
  Status add_to_index(const SlotEntry& entry, Scratch& scratch);
  void remove(Slot slot, Scratch& scratch);
  bool commit(SlotEntry& entry);
  void record_failure(const SlotEntry& entry);

  void retire(Slot slot);
  std::size_t worth_reclaiming() const noexcept;
  bool must_wait_for_reclaim() const noexcept;
  void reclaim_if_worthwhile();
  void start_reclaim(std::function<void(Status)> done);
  using Slots = std::shared_ptr<const std::vector<Slot>>;
  void reclaim(const Slots& slots, const std::function<void(Status)>& done);
  void end_reclaim(const Slots& slots, Status status, const std::function<void(Status)>& done);
  void free_slot(Slot slot);
  void reuse_freed();
  Status save_keys(SectionWriter& writer, const SlotSet& items) const;
  Status load_keys(SectionReader& reader, const SlotSet& stored);
  static Status check_tuning(const Tuning& tuning);
  void adopt(const Tuning& tuning) const;
  TuneIndex tuning_change() const;
  Status load_tuning(SectionReader& reader);

  Result<std::shared_ptr<const SlotSet>> current_items();
  void step(const std::shared_ptr<SurveyRun>& walk);
  void advance(SurveyRun& walk, Scratch& scratch) const;

  const CollectionSpec spec_;
  const CollectionContext context_;
  CollectionChanges changes_;
  std::string damage_;
  std::unique_ptr<Kernel> kernel_;
  std::unique_ptr<VectorStore> store_;
  std::unique_ptr<Index> index_;

  std::size_t key_bytes_ = 0;      // of the keys in keys_
  KeyTable<SlotEntry*, 8> keys_;   // the committed entry of each key
  SlotEntries entries_;            // by slot; owns them; workers read
  SlotSet stored_;                 // slots with a row, from staging until they are free
  SlotSet current_;                // those of them that are the place of a key
  std::shared_ptr<SlotSet> copy_;  // of current_, which workers may be reading; null: none yet
  bool is_copy_stale_ = true;
  AccessGate gate_;
  GracePeriod grace_;  // of operations
  GracePeriod rows_;   // of saves and surveys: each is more than one operation, and reads rows only
  KeyOrder key_order_;

  std::vector<Slot> erased_;  // await reclaim
  std::vector<Slot> freed_;   // await that there are some more of them
  std::deque<std::function<void()>> delayed_writes_;
  bool reclaiming_ = false;
  bool saving_ = false;
  std::vector<std::function<void()>> after_reclaim_;  // what waits until it has ended
  GracePeriod::Ticket save_ticket_ = 0;
  Tuning tuning_;             // what the index was told last
  std::string saved_tuning_;  // as of the beginning of the save; empty: none

  Replacements replacements_;
  std::optional<ReadView> view_;
};

/// Writes that are put as a whole: staged one by one, which may fail and then leaves nothing
/// behind, and committed once. Threads: the event loop's only.
class Collection::PutBatch {
 public:
  explicit PutBatch(std::shared_ptr<Collection> collection) : collection_(std::move(collection)) {}
  ~PutBatch();
  PutBatch(const PutBatch&) = delete;
  PutBatch& operator=(const PutBatch&) = delete;

  /// Stages `vector` ([dim], passed check_vector) under `key`, in `slot` if one is named, which
  /// is_free(). Of two with one key the later wins. Errors: kResourceExhausted.
  Status add(std::string_view key, std::span<const float> vector, Slot slot = kNoSlot);

  /// Puts all that was added, then calls `done` with how many keys are new. Fails with the first
  /// error if the index could not take some of them; the others are stored nevertheless.
  void commit(std::function<void(Result<std::size_t>)> done);

 private:
  struct Progress;
  struct Write;

  static void start(const std::shared_ptr<Progress>& progress,
                    const std::vector<SlotEntry*>& entries);
  static void finish(const std::shared_ptr<Progress>& progress, std::vector<Write>& writes);

  void record() const;

  std::shared_ptr<Collection> collection_;
  std::vector<SlotEntry*> entries_;
  std::vector<float> vectors_;  // of entries_, as given; empty if nobody is told
};

/// Tells `sink` that the key holds a new collection.
void record_creation(ChangeSink& sink, std::string_view key, std::int64_t expires_ms,
                     const Collection& collection);

}  // namespace engram
