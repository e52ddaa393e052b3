// SPDX-License-Identifier: Apache-2.0
// What an index name means to a client: keys, vectors, and a retrieval primitive over them. Keys,
// overwrites, deletion, the reuse of memory and saving are solved here once, for every primitive.
//
// The collection is a facade. Each part has a file and one rule:
//
//   operations.h          jobs: turns at the index, and what is running
//   slot_table.h          the states of a slot
//   slot_reclaimer.h      when an erased slot is free again
//   key_map.h             key -> slot
//   item_writer.h         puts and erases, in order for each key
//   put_batch.h           puts that are staged as a whole
//   admissions.h          puts that are refused where something lies near
//   replacements.h        which keys may have two versions in the index
//   read_view.h           what a worker may do: search, recall
//   strengths.h           how strong items are, where VNEW says DECAY
//   attributes.h          what is known of items beside their vectors
//   attribute_columns.h   the fields of that which filters name
//   filtered_items.h      the items that meet a filter
//   query_plan.h          how they are searched
//   weak_items.h          which are the weakest
//   item_visits.h         long looks at all items
//   vector_set.h          what a vector set has beside an index
//   consolidation.h       items that become one
//   surveys.h, tuner.h    surveys in steps; the numbers that an index recalls by
//   measured_recall.h     searches that are repeated exactly
//   recall_curve.h        what recall searches have, by their effort
//   collection_changes.h  what the journal and WATCH are told
//   collection_save.h, collection_load.h  sections of a snapshot
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/index.h"
#include "core/make_index.h"
#include "core/recall.h"
#include "core/result.h"
#include "core/row_pages.h"
#include "core/scratch.h"
#include "core/slot_set.h"
#include "server/durability/row_files.h"
#include "server/durability/soundness.h"
#include "server/engine/admissions.h"
#include "server/engine/attribute_columns.h"
#include "server/engine/attributes.h"
#include "server/engine/change_sink.h"
#include "server/engine/collection_changes.h"
#include "server/engine/collection_save.h"
#include "server/engine/consolidation.h"
#include "server/engine/filtered_items.h"
#include "server/engine/item_visits.h"
#include "server/engine/item_writer.h"
#include "server/engine/key_map.h"
#include "server/engine/key_order.h"
#include "server/engine/measured_recall.h"
#include "server/engine/operations.h"
#include "server/engine/pace.h"
#include "server/engine/put_batch.h"
#include "server/engine/puts_under_way.h"
#include "server/engine/read_view.h"
#include "server/engine/recent_filters.h"
#include "server/engine/replacements.h"
#include "server/engine/slot_reclaimer.h"
#include "server/engine/slot_table.h"
#include "server/engine/strengths.h"
#include "server/engine/surveys.h"
#include "server/engine/tuner.h"
#include "server/engine/vector_set.h"
#include "server/engine/weak_items.h"
#include "server/metrics/index_series.h"
#include "server/runtime/worker_pool.h"

namespace engram {

/// Items that become one.
struct Merge {
  std::string_view key;                       ///< of the one
  std::span<const float> vector = {};         ///< that it gets; empty: it keeps its own
  std::vector<std::string_view> others = {};  ///< keys that go
  Trace trace = {};                           ///< where there are strengths: that it gets
  std::int64_t ms = 0;                        ///< and when
};

/// What VNEW chose.
using CollectionSpec = IndexSpec;

/// What a collection is made in.
struct CollectionContext {
  WorkerPool& workers;         ///< outlives the collection
  std::uint64_t id;            ///< no two collections of a store have the same
  std::uint64_t hash_seed;     ///< randomizes the key table
  ChangeSink* sink = nullptr;  ///< is told of changes to the content; null: nobody is
  IndexSeries* all = nullptr;  ///< counts what is done with all; outlives the collection's jobs
  VectorSet set = {};
  const RowFiles* row_files = nullptr;  ///< null: there is no directory for them
  FileOfRows rows_file = {};            ///< of RowsPlace::kFile
};

/// Bytes of a collection by part, without its index.
struct CollectionMemory {
  std::size_t vectors = 0;
  std::size_t bookkeeping = 0;  ///< keys, the slots they have, and a projection
  std::size_t attributes = 0;   ///< as text
  std::size_t attribute_columns = 0;
  std::size_t strengths = 0;

  [[nodiscard]] std::size_t sum() const noexcept {
    return vectors + bookkeeping + attributes + attribute_columns + strengths;
  }
};

/// Of what it does by itself: see background_upkeep.h.
struct UpkeepProgress {
  bool is_merging = false;
  bool is_forgetting = false;
  std::int64_t next_ms = 0;     ///< when the next round is due; 0: not known yet
  std::uint64_t forgotten = 0;  ///< items, since the collection was made or loaded
  std::string name = {};        ///< that it was found under last
  std::uint64_t merged = 0;     ///< the same of those that became one with another
  /// Collection::version() when all that lay near each other was one.
  std::optional<std::uint64_t> merged_at = {};
};

/// Of finding out what recall searches have.
struct CurveSurveyProgress {
  bool is_under_way = false;
  std::vector<std::function<void(const Status&)>> waiting = {};  ///< for its end
};

/// Threads: the event loop's only, except where a member says otherwise.
class Collection : public std::enable_shared_from_this<Collection> {
 public:
  using PutBatch = engram::PutBatch;

  /// Errors: those of make_index(); kInvalidArgument for rows on the disk where there are no files.
  static Result<std::shared_ptr<Collection>> create(CollectionSpec spec,
                                                    const CollectionContext& context);

  /// What it was made from. Any thread.
  const CollectionSpec& spec() const noexcept { return spec_; }

  /// Any thread.
  const VectorSet& set() const noexcept { return set_; }

  /// No two collections of a store have the same. Any thread.
  std::uint64_t id() const noexcept { return changes_.id(); }
  std::string_view kernel_name() const noexcept { return made_.kernel->name(); }

  /// Why the content cannot be trusted; empty if it can. `name` is what it is called. Damage that
  /// was met since nobody asked is noted, and logged once.
  const std::string& find_damage(std::string_view name);
  void set_damage(std::string reason) { damage_ = std::move(reason); }

  /// Fails if what was read until now may have been damaged: to be asked before an answer that
  /// depends on it is given. Any thread. Errors: kDataLoss.
  [[nodiscard]] Status check_soundness(std::string_view name) const;

  /// What is done with it. Any thread.
  IndexSeries& series() noexcept { return series_; }
  [[nodiscard]] const IndexSeries& series() const noexcept { return series_; }
  /// Counts from now on, for `all`, too. While nobody works on it.
  void restart_series(IndexSeries* all) {
    series_.restart(all);
    series_.set_structure_bytes(made_.index->memory_bytes());
  }

  // Reading.

  /// How many keys it holds.
  std::size_t size() const noexcept { return keys_.size(); }

  /// Whether it holds nothing, and no write that was begun will change that.
  bool is_deserted() const {
    return keys_.size() == 0 && key_order_.is_idle() && admissions_.is_idle();
  }

  /// Whether `key` is there.
  bool contains(std::string_view key) const { return keys_.find(key) != nullptr; }
  /// Where `key` lies; kNoSlot if there is no such key.
  Slot slot_of(std::string_view key) const {
    const SlotEntry* const entry = keys_.find(key);
    return entry == nullptr ? kNoSlot : entry->slot();
  }

  /// The vector of `key` as it was given (row.h says how exactly), or nothing.
  std::optional<std::vector<float>> get(std::string_view key) const;

  /// Runs `work` on a worker as soon as the index may be read, then `done` on the event loop.
  using ReadWork = std::function<void(const ReadView&, Scratch&)>;
  void read(ReadWork work, std::function<void()> done) {
    read_at(search_pace_, std::move(work), std::move(done));
  }

  /// A condition on items.
  struct Condition {
    std::shared_ptr<const Filter> filter;
    std::size_t most_column_bytes;  ///< AttributeColumns::Request::most_bytes
    const std::function<bool()>* memory_is_full = nullptr;  ///< of that request, too
  };

  /// As read(), with the items that meet a condition as they are now; `done` is told if the work
  /// did not run, and why. Errors: kResourceExhausted.
  using AmongWork = std::function<void(const ReadView&, const FilteredItems&, Scratch&)>;
  void read_among(const Condition& condition, AmongWork work, std::function<void(Status)> done);

  /// ItemVisits::start().
  Status visit_items(ItemVisits::Step step, std::function<void()> done) {
    return visits_.start(std::move(step), std::move(done));
  }
  /// What recall searches have by their effort; nothing if nobody has found out.
  [[nodiscard]] const std::optional<RecallCurve>& recall_curve() const noexcept {
    return tuner_.curve();
  }
  /// Of a share of them, if spec() has one; else null.
  [[nodiscard]] MeasuredRecall* measured_recall() noexcept { return measured_recall_.get(); }
  [[nodiscard]] const MeasuredRecall* measured_recall() const noexcept {
    return measured_recall_.get();
  }
  /// Finding out, which is one survey at a time: see effort.h.
  [[nodiscard]] CurveSurveyProgress& curve_survey() noexcept { return curve_survey_; }
  void set_recall_curve(const RecallCurve& curve) { tuner_.set_curve(curve); }
  /// Has the journal know the curve. In no frame of others.
  void record_recall_curve() const { tuner_.record_curve(); }

  // Recalling requires a primitive with Traits::recalls.

  /// As read(), with the RecallParams::items to recall by, so that the work meets every key once.
  /// Errors: kResourceExhausted, and nothing was begun.
  using RecallWork = std::function<void(const ReadView&, const SlotSet* items, Scratch&)>;
  Status recall(RecallWork work, std::function<void()> done);
  /// The same by the items that meet a condition; errors come through `done`.
  void recall_among(const Condition& condition, RecallWork work, std::function<void(Status)> done);

  /// Surveys the items as they are now, those that meet a condition if there is one, whatever is
  /// written meanwhile; other operations get their turn between its steps. `finish` is called on a
  /// worker after the last one, and then `done` on the event loop; after an error only `done`.
  /// params.items, and params.bias by the strengths as of `at_ms`, are set here; params.options
  /// outlives the survey. Errors: those of Recaller::survey(); kResourceExhausted.
  void survey(const SurveyParams& params, std::int64_t at_ms,
              const std::optional<Condition>& condition, SurveyWork finish,
              std::function<void(Status)> done, SurveyScope scope = SurveyScope::kAll);

  // Writing. Puts go through a PutBatch.

  /// Asks whether something may be put, unless an item lies near; see Admissions.
  void ask_admission(Admissions::Request request) { admissions_.ask(std::move(request)); }

  /// Removes `key`, then calls `done` with whether it was there.
  void erase(std::string_view key, std::function<void(bool)> done) {
    writer_.erase(key, std::move(done));
  }

  /// Has the index recall by these numbers from now on, and after a restart; then calls `done`.
  /// Errors: kInvalidArgument for one that is not finite, and then nothing has changed.
  Status tune(Tuning tuning, std::function<void()> done) {
    return tuner_.tune(std::move(tuning), std::move(done));
  }

  // Attributes. What was asked before of a key counts as done.

  [[nodiscard]] const Attributes& attributes() const noexcept { return attributes_; }
  /// The JSON object of `key`, empty if it has none, until the next write; nothing if there is no
  /// such key.
  [[nodiscard]] std::optional<std::string_view> attributes_of(std::string_view key) const;
  /// Gives `key` attributes, a JSON object or an empty text for none. False if there is no such
  /// key. Errors: kResourceExhausted.
  Result<bool> set_attributes(std::string_view key, std::string_view text);

  /// Asks for fields of attributes as columns; see AttributeColumns::ask().
  void ask_columns(AttributeColumns::Request request) { columns_.ask(std::move(request)); }
  [[nodiscard]] const AttributeColumns& columns() const noexcept { return columns_; }

  // Strengths: only where has_strengths(), as spec().decay says.

  [[nodiscard]] bool has_strengths() const noexcept { return strengths_ != nullptr; }
  [[nodiscard]] const Strengths& strengths() const noexcept { return *strengths_; }

  /// Adds to the strengths of `keys`, and returns ln s of each as of the touch, nothing where there
  /// is no such key. What was asked before of a key counts as done.
  std::vector<std::optional<double>> touch(std::span<const std::string_view> keys,
                                           const StrengthGain& gain);
  /// Multiplies the strength of `key`, if it is there, by `factor`, as weaken() in core/trace.h.
  void weaken(std::string_view key, double factor, std::int64_t ms) {
    writer_.affect(key, {.factor = factor, .ms = ms});
  }
  /// Where strengths() has that of `key`, in the same sense; kNoSlot if there is no such key.
  [[nodiscard]] Slot strength_slot(std::string_view key) const { return writer_.place_of(key); }
  /// ln s(ms) of `key`, in the same sense.
  [[nodiscard]] std::optional<double> log_strength(std::string_view key, std::int64_t ms) const;
  [[nodiscard]] UpkeepProgress& upkeep() noexcept { return upkeep_; }
  [[nodiscard]] const UpkeepProgress& upkeep() const noexcept { return upkeep_; }
  /// See WeakItems::find().
  void find_weak_items(const WeakItemsParams& params, WeakItems::Done done) {
    weak_items_.find(params, std::move(done));
  }
  /// Gives `key` a strength, if it is there, by a write of that time: what becomes of strengths
  /// otherwise, or what was recorded. Errors: kDataLoss for a trace that there cannot be under this
  /// decay; kResourceExhausted.
  Status set_strength(std::string_view key, const Trace& trace, std::int64_t ms);
  /// A write of that time was recorded.
  void pass_time(std::int64_t ms) noexcept { strengths_->pass_time(ms); }

  // Consolidation.

  /// One that may begin. Errors: kAlreadyExists while another has not ended.
  Result<std::shared_ptr<Consolidation>> consolidate(const ConsolidationParams& params);
  /// The one that has not ended, or null.
  [[nodiscard]] std::shared_ptr<const Consolidation> consolidation() const;

  /// Makes the items of `merge` one, then calls `done`; what it records is to be one frame. No
  /// write to them is under way. Errors, through `done`: those of a put, and then all is as it was.
  /// Errors, at once: kResourceExhausted, and nothing was begun.
  Status merge(const Merge& merge, std::function<void(Status)> done);

  /// Rises when a change to the content begins, and again when it has been carried out.
  std::uint64_t version() const noexcept { return changes_.version(); }
  void set_change_sink(ChangeSink* sink) noexcept { changes_.set_sink(sink); }

  /// Forgets the operations that have not started, after which nothing refers to this collection
  /// but its owner and the operations that run. For shutdown: no more may begin.
  void abandon_waiting();

  // Memory.

  /// Slots ever used: the most that were taken at once, by vectors or by what waits to be reused.
  std::size_t slots() const noexcept { return slots_.end(); }
  /// Slots in use that are not the place of a key: being written, or erased and not yet let go of.
  std::size_t unsettled() const noexcept { return slots_.stored_count() - keys_.size(); }
  CollectionMemory memory() const noexcept;
  /// The mean length of its keys in bytes, 0 if it is empty.
  std::size_t mean_key_bytes() const noexcept { return keys_.mean_key_bytes(); }

  // Saving. Until end_save(), no slot is given back, so that rows and links stay what they are
  // while save() reads them; everything else goes on.

  /// Calls `ready` once save() may begin. One save at a time, and none while settle() waits.
  void begin_save(std::function<void()> ready) { save_.begin(std::move(ready)); }
  /// Writes all that is committed when it is called; a write that is committed meanwhile may be
  /// part of it or not. Any one thread, between `ready` and end_save(). Errors: those of the
  /// writer.
  Status save(SectionWriter& writer) const { return save_.write(writer); }
  void end_save() { save_.end(); }

  // Repeating what a journal says.

  /// Fills a new collection with what save() wrote. An index that saves no structure is left empty:
  /// rebuild() fills it. What is placed is verified later: `soundness` says whether it was sound so
  /// far. Errors: kDataLoss, kResourceExhausted; the collection is of no use then.
  Status load(SectionReader& reader, std::shared_ptr<const Soundness> soundness = nullptr);
  /// Inserts every loaded vector into the index, on the workers, then calls `done` with the first
  /// error.
  void rebuild(std::function<void(Status)> done) { writer_.rebuild(std::move(done)); }

  /// Whether PutBatch::add() may be asked for this slot.
  bool is_free(Slot slot) const noexcept { return slots_.is_free(slot); }
  /// Whether it is the place of a key.
  bool is_held(Slot slot) const noexcept { return slots_.is_current(slot); }
  /// Whether the order of writes matters to the index.
  bool is_order_dependent() const noexcept { return traits().order_dependent; }
  /// ItemWriter::put_again().
  void put_again(std::string_view key, std::function<void(Status)> done) {
    writer_.put_again(key, std::move(done));
  }
  /// Whether `key` holds `vector` in `slot` already, bit for bit, and no write to it is under way.
  bool holds(std::string_view key, std::span<const float> vector, Slot slot) const;

  /// Whether slots are being let go of: what is written meanwhile may meet them or not.
  [[nodiscard]] bool is_reclaiming() const noexcept { return reclaimer_.is_reclaiming(); }
  /// Makes all slots free that hold nothing, which takes until the operations that run have ended,
  /// then calls `done`. Not beside a save. Errors: those of Index::reclaim().
  void settle(std::function<void(Status)> done) { reclaimer_.settle(std::move(done)); }

 private:
  friend class engram::PutBatch;

  Collection(CollectionSpec spec, const CollectionContext& context, OwnedIndex made);

  void read_at(Pace& pace, ReadWork work, std::function<void()> done);
  void find_among(const Condition& condition,
                  std::function<void(Result<std::shared_ptr<const FilteredItems>>)> found);

  [[nodiscard]] const Traits& traits() const noexcept { return spec_.primitive->traits; }

  const CollectionSpec spec_;
  const VectorSet set_;
  std::string damage_;
  std::shared_ptr<const Soundness> soundness_;  // null: nothing was loaded
  const OwnedIndex made_;
  IndexSeries series_;
  CollectionChanges changes_;
  Operations operations_;
  Pace search_pace_;
  Pace recall_pace_;
  KeyOrder key_order_;
  SlotTable slots_;
  KeyMap keys_;
  SlotReclaimer reclaimer_;
  Replacements replacements_;
  const std::unique_ptr<Strengths> strengths_;  // null: all items are equal
  Attributes attributes_;
  AttributeColumns columns_;
  std::uint64_t attribute_changes_ = 0;
  RecentFilters recent_filters_;
  const ReadView view_;
  PutsUnderWay puts_;
  ItemWriter writer_;
  Admissions admissions_;
  Surveys surveys_;
  const std::unique_ptr<MeasuredRecall> measured_recall_;  // null: nothing is measured
  WeakItems weak_items_;
  ItemVisits visits_;
  UpkeepProgress upkeep_;
  CurveSurveyProgress curve_survey_;
  Tuner tuner_;
  CollectionSave save_;
  std::weak_ptr<Consolidation> consolidation_;  // the last
};

/// Tells `sink` that the key holds a new collection.
void record_creation(ChangeSink& sink, std::string_view key, std::int64_t expires_ms,
                     const Collection& collection);

}  // namespace engram
