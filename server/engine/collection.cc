// SPDX-License-Identifier: Apache-2.0
#include "server/engine/collection.h"

#include "core/text.h"
#include "server/durability/change.h"
#include "server/durability/mapped_rows.h"
#include "server/engine/collection_load.h"
#include "server/engine/quarantine.h"
#include "server/engine/within_memory.h"
#include "server/runtime/log.h"

namespace engram {

namespace {

RowReads reads_of(const CollectionSpec& spec) {
  return spec.primitive->traits.exact ? RowReads::kInOrder : RowReads::kAtRandom;
}

/// Those of a file, or null if rows do not lie in memory as they lie there.
Result<std::unique_ptr<RowPages>> make_file_pages(const CollectionSpec& spec,
                                                  const FileOfRows& file) {
  const std::size_t bytes = spec.dim * sizeof(float);
  const Element element = stored_element(*spec.primitive, spec.options);
  // Blocks of longer rows have fewer than 64 of them, and may end within a page.
  constexpr std::size_t kLongRow = kHugePage / 64;
  const bool are_alike = element == Element::kF32 &&
                         row_bytes(element, spec.metric, spec.dim) == bytes &&
                         (bytes <= kLongRow || bytes % kPageBytes == 0);
  if (!are_alike) return nullptr;
  return map_rows(file, bytes, reads_of(spec));
}

/// Null: the rows stay in memory.
Result<std::unique_ptr<RowPages>> make_pages(const CollectionSpec& spec,
                                             const CollectionContext& context) {
  if (spec.rows == RowsPlace::kMemory) return nullptr;
  if (spec.rows == RowsPlace::kFile) return make_file_pages(spec, context.rows_file);
  if (context.row_files == nullptr) {
    return fail(ErrorCode::kInvalidArgument,
                "ROWS disk keeps vectors in a file, and without a directory no file is written");
  }
  return context.row_files->make(reads_of(spec));
}

}  // namespace

Result<std::shared_ptr<Collection>> Collection::create(CollectionSpec spec,
                                                       const CollectionContext& context) {
  auto pages = make_pages(spec, context);
  if (!pages) return tl::unexpected(std::move(pages.error()));
  if (*pages == nullptr) spec.rows = RowsPlace::kMemory;
  auto made = make_index(spec, std::move(*pages));
  if (!made) return tl::unexpected(std::move(made.error()));
  std::shared_ptr<Collection> collection(
      new Collection(std::move(spec), context, std::move(*made)));
  collection->operations_.set_owner(collection);
  if (Index& index = *collection->made_.index; !index.is_warm()) {
    collection->operations_.set_warm_up([&index, &series = collection->series_] {
      index.warm_up();
      series.set_structure_bytes(index.memory_bytes());
      return !index.is_warm();
    });
  }
  return collection;
}

Collection::Collection(CollectionSpec spec, const CollectionContext& context, OwnedIndex made)
    : spec_(std::move(spec)),
      set_(context.set),
      made_(std::move(made)),
      series_(context.all),
      changes_(context.id, context.sink),
      operations_(context.workers, !traits().concurrent),
      key_order_(traits().order_dependent),
      slots_(*made_.store),
      keys_(context.hash_seed, slots_.entries()),
      reclaimer_(traits(), slots_, *made_.index, operations_, series_),
      strengths_(spec_.decay.is_on() ? std::make_unique<Strengths>(spec_.decay) : nullptr),
      attributes_(
          [this](std::function<void()> action) {
            operations_.after_running(
                [this, action = std::move(action)] { slots_.after_pins(action); });
          },
          [this](Slot slot, std::string_view text) {
            ++attribute_changes_;
            columns_.note(slot, text);
          }),
      columns_(attributes_, operations_,
               [this](const Column& column) { recent_filters_.forget(column); }),
      view_({.spec = spec_,
             .kernel = *made_.kernel,
             .store = *made_.store,
             .index = *made_.index,
             .entries = slots_.entries(),
             .replacements = replacements_,
             .strengths = strengths_.get(),
             .attributes = attributes_}),
      writer_({.traits = traits(),
               .store = *made_.store,
               .index = *made_.index,
               .keys = keys_,
               .key_order = key_order_,
               .slots = slots_,
               .reclaimer = reclaimer_,
               .replacements = replacements_,
               .operations = operations_,
               .changes = changes_,
               .soundness = soundness_,
               .strengths = strengths_.get(),
               .attributes = attributes_,
               .puts = puts_,
               .series = series_}),
      admissions_({.view = view_,
                   .slots = slots_,
                   .operations = operations_,
                   .puts = puts_,
                   .pace = search_pace_}),
      surveys_(view_, slots_, operations_),
      measured_recall_(
          spec_.measured_share > 0
              ? std::make_unique<MeasuredRecall>(spec_.measured_share,
                                                 MeasuredRecall::Parts{.view = view_,
                                                                       .slots = slots_,
                                                                       .operations = operations_,
                                                                       .changes = changes_})
              : nullptr),
      weak_items_(view_, slots_, operations_),
      visits_(view_, slots_, operations_),
      tuner_(*made_.index, key_order_, operations_, changes_),
      save_({.traits = traits(),
             .store = *made_.store,
             .index = *made_.index,
             .slots = slots_,
             .reclaimer = reclaimer_,
             .operations = operations_,
             .tuner = tuner_,
             .strengths = strengths_.get(),
             .attributes = attributes_}) {
  series_.set_structure_bytes(made_.index->memory_bytes());
  // A job that does nothing ends in another turn.
  slots_.set_later([this](std::function<void()> action) {
    operations_.read(
        Lane::kInteractive, [](Scratch&) {}, std::move(action));
  });
}

CollectionMemory Collection::memory() const noexcept {
  const std::size_t projection = set_.projection == nullptr ? 0 : set_.projection->memory_bytes();
  return {.vectors = made_.store->memory_bytes(),
          .bookkeeping = slots_.memory_bytes() + keys_.memory_bytes() + projection,
          .attributes = attributes_.memory_bytes(),
          .attribute_columns = columns_.memory_bytes(),
          .strengths = has_strengths() ? strengths_->memory_bytes() : 0};
}

std::optional<std::vector<float>> Collection::get(std::string_view key) const {
  const SlotEntry* const entry = keys_.find(key);
  if (entry == nullptr) return std::nullopt;
  std::vector<float> vector(spec_.dim);
  made_.store->read(entry->slot(), vector);
  return vector;
}

Result<std::shared_ptr<Consolidation>> Collection::consolidate(const ConsolidationParams& params) {
  if (consolidation() != nullptr) {
    return fail(ErrorCode::kAlreadyExists, "the index is being consolidated already");
  }
  const auto begun =
      std::make_shared<Consolidation>(Consolidation::Parts{.view = view_,
                                                           .store = *made_.store,
                                                           .slots = slots_,
                                                           .operations = operations_,
                                                           .key_order = key_order_,
                                                           .strengths = strengths_.get()},
                                      params);
  consolidation_ = begun;
  return begun;
}

std::shared_ptr<const Consolidation> Collection::consolidation() const {
  auto last = consolidation_.lock();
  if (last != nullptr && last->has_ended()) last.reset();
  return last;
}

/// The others go when the one is there. A search may meet some of them beside it meanwhile, and
/// meets its key at all times.
Status Collection::merge(const Merge& merge, std::function<void(Status)> done) {
  struct Run {
    std::function<void(Status)> done;
    std::size_t unfinished;
    Status status = {};
    void finish_one() {
      if (--unfinished == 0) done(std::move(status));
    }
  };
  const auto run = std::make_shared<Run>(Run{std::move(done), merge.others.size() + 1});
  const auto outcome = std::make_shared<ItemWriter::Outcome>();
  PutBatch batch(shared_from_this());
  if (!merge.vector.empty()) ENGRAM_TRY(batch.add(merge.key, merge.vector));
  if (!merge.vector.empty()) {
    batch.commit(
        [run, outcome](Result<std::size_t> added) {
          if (!added) run->status = tl::unexpected(std::move(added.error()));
          outcome->settle(run->status.has_value());
          run->finish_one();
        },
        {.at_ms = merge.ms});
  }
  if (has_strengths()) writer_.set_strength(merge.key, merge.trace, merge.ms);
  for (const std::string_view key : merge.others) {
    writer_.erase_after(outcome, key, [run] { run->finish_one(); });
  }
  if (!merge.vector.empty()) return {};
  outcome->settle(true);
  run->finish_one();
  return {};
}

void Collection::read_at(Pace& pace, ReadWork work, std::function<void()> done) {
  operations_.read(
      pace.lane(),
      [this, &pace, work = std::move(work)](Scratch& scratch) {
        const Pace::Timer timer(pace);
        work(view_, scratch);
      },
      std::move(done));
}

/// Where writes run beside it, a recall could meet two versions of a key, or none. It is given the
/// places of the keys as they are now instead: their rows stay until it has ended, for it begins at
/// once, as everything does under such a primitive. Where writes run alone the index itself has
/// each key once. While the index is cold nothing is erased, so the rows stay, too.
Status Collection::recall(RecallWork work, std::function<void()> done) {
  std::shared_ptr<const SlotSet> items;
  if (traits().concurrent) {
    auto current = slots_.current_items();
    if (!current) return tl::unexpected(std::move(current.error()));
    items = std::move(*current);
  }
  ReadWork with_items = [items, work = std::move(work)](const ReadView& view, Scratch& scratch) {
    work(view, items.get(), scratch);
  };
  if (operations_.is_warm()) {
    read_at(recall_pace_, std::move(with_items), std::move(done));
  } else {
    operations_.when_warm([this, with_items, done] { read_at(recall_pace_, with_items, done); });
  }
  return {};
}

std::optional<std::string_view> Collection::attributes_of(std::string_view key) const {
  const Slot slot = writer_.place_of(key);
  if (slot == kNoSlot) return std::nullopt;
  return attributes_.text(slot);
}

Result<bool> Collection::set_attributes(std::string_view key, std::string_view text) {
  if (!text.empty()) ENGRAM_TRY(attributes_.allow());
  if (!attributes_.are_allowed()) return writer_.place_of(key) != kNoSlot;  // it has none
  return writer_.set_attributes(key, text);
}

/// The items are those of now, where writes run beside the job, and it begins at once; else those
/// that there are when it begins, which no write changes before it has ended.
void Collection::find_among(
    const Condition& condition,
    std::function<void(Result<std::shared_ptr<const FilteredItems>>)> found) {
  const auto fields = condition.filter->fields();
  auto ready = [this, filter = condition.filter,
                found = std::move(found)](Result<AttributeColumns::Columns> columns) {
    if (!columns) return found(tl::unexpected(std::move(columns.error())));
    if (!traits().concurrent) {
      const std::shared_ptr<const SlotSet> items(std::shared_ptr<void>(), &slots_.current());
      return found(std::make_shared<const FilteredItems>(filter, std::move(*columns), items));
    }
    auto items = slots_.current_items();
    if (!items) return found(tl::unexpected(std::move(items.error())));
    const RecentFilters::Moment now{items->get(), attribute_changes_};
    auto among = recent_filters_.find(filter->text(), now);
    if (among == nullptr) {
      among = std::make_shared<const FilteredItems>(filter, std::move(*columns), std::move(*items));
      recent_filters_.keep(filter->text(), now, among);
    }
    found(std::move(among));
  };
  columns_.ask({.fields = {fields.begin(), fields.end()},
                .ready = std::move(ready),
                .most_bytes = condition.most_column_bytes,
                .memory_is_full = condition.memory_is_full});
}

void Collection::read_among(const Condition& condition, AmongWork work,
                            std::function<void(Status)> done) {
  find_among(condition, [this, work = std::move(work), done = std::move(done)](
                            Result<std::shared_ptr<const FilteredItems>> among) {
    if (!among) return done(tl::unexpected(std::move(among.error())));
    const auto status = std::make_shared<Status>();
    read_at(
        search_pace_,
        [among = std::move(*among), work, status](const ReadView& view, Scratch& scratch) {
          *status = within_memory([&] {
            work(view, *among, scratch);
            return Status();
          });
        },
        [done, status] { done(std::move(*status)); });
  });
}

void Collection::recall_among(const Condition& condition, RecallWork work,
                              std::function<void(Status)> done) {
  find_among(condition, [this, work = std::move(work), done = std::move(done)](
                            Result<std::shared_ptr<const FilteredItems>> among) {
    if (!among) return done(tl::unexpected(std::move(among.error())));
    const auto status = std::make_shared<Status>();
    const auto recall = [among = std::move(*among), work, status](const ReadView& view,
                                                                  Scratch& scratch) {
      *status = within_memory([&]() -> Status {
        const auto matching = among->matching();
        if (!matching) return tl::unexpected(matching.error());
        work(view, *matching, scratch);
        return {};
      });
    };
    operations_.when_warm([this, recall, done, status] {
      read_at(recall_pace_, recall, [done, status] { done(std::move(*status)); });
    });
  });
}

void Collection::survey(const SurveyParams& params, std::int64_t at_ms,
                        const std::optional<Condition>& condition, SurveyWork finish,
                        std::function<void(Status)> done, SurveyScope scope) {
  if (!condition) {
    return surveys_.start(params, scope, at_ms, nullptr, std::move(finish), std::move(done));
  }
  find_among(*condition,
             [this, params, scope, at_ms, finish = std::move(finish),
              done = std::move(done)](Result<std::shared_ptr<const FilteredItems>> among) {
               if (!among) return done(tl::unexpected(std::move(among.error())));
               surveys_.start(params, scope, at_ms, std::move(*among), finish, done);
             });
}

std::vector<std::optional<double>> Collection::touch(std::span<const std::string_view> keys,
                                                     const StrengthGain& gain) {
  const std::int64_t ms = strengths_->time_of(gain);
  std::vector<std::optional<double>> strengths;
  strengths.reserve(keys.size());
  for (const std::string_view key : keys) {
    strengths.push_back(writer_.affect(key, {.gain = gain.gain, .ms = ms}));
  }
  return strengths;
}

std::optional<double> Collection::log_strength(std::string_view key, std::int64_t ms) const {
  const Slot slot = strength_slot(key);
  if (slot == kNoSlot) return std::nullopt;
  return strengths_->log_strength(slot, ms);
}

Status Collection::set_strength(std::string_view key, const Trace& trace, std::int64_t ms) {
  ENGRAM_TRY(check_trace(spec_.decay, trace));
  if (trace.kind != TraceKind::kLevel) ENGRAM_TRY(strengths_->allow_rules());
  writer_.set_strength(key, trace, ms);
  return {};
}

void Collection::abandon_waiting() {
  const auto self = shared_from_this();  // what waits may hold the last reference
  reclaimer_.abandon_waiting();
  operations_.abandon_waiting();
  key_order_.abandon_waiting();
  admissions_.abandon_waiting();
  columns_.abandon_waiting();
  std::exchange(curve_survey_.waiting, {});
}

const std::string& Collection::find_damage(std::string_view name) {
  if (damage_.empty()) {
    if (const Status sound = check_soundness(name); !sound) {
      damage_ = sound.error().message;
      log_error(damage_);
    }
  }
  return damage_;
}

Status Collection::check_soundness(std::string_view name) const {
  if (soundness_ != nullptr && !soundness_->holds()) {
    return fail(ErrorCode::kDataLoss, index_label(name) + ": " + soundness_->reason());
  }
  const Status rows = made_.store->check_rows();
  if (rows) return {};
  return fail(rows.error().code, index_label(name) + ": " + rows.error().message);
}

Status Collection::load(SectionReader& reader, std::shared_ptr<const Soundness> soundness) {
  soundness_ = std::move(soundness);
  ENGRAM_TRY(load_collection(reader, {.traits = traits(),
                                      .index = *made_.index,
                                      .keys = keys_,
                                      .slots = slots_,
                                      .reclaimer = reclaimer_,
                                      .tuner = tuner_,
                                      .strengths = strengths_.get(),
                                      .attributes = attributes_}));
  if (soundness_ == nullptr || soundness_->holds()) return {};
  return fail(ErrorCode::kDataLoss, soundness_->reason());
}

bool Collection::holds(std::string_view key, std::span<const float> vector, Slot slot) const {
  const SlotEntry* const entry = keys_.find(key);
  return entry != nullptr && entry->slot() == slot && !key_order_.is_busy(key) &&
         made_.store->holds(slot, vector);
}

void record_creation(ChangeSink& sink, std::string_view key, std::int64_t expires_ms,
                     const Collection& collection) {
  const CollectionSpec& spec = collection.spec();
  std::vector<std::string> values;
  for (std::size_t i = 0; i < spec.options.schema().size(); ++i) {
    values.push_back(spec.options.text(i));
  }
  NewCollection change{key,
                       expires_ms,
                       collection.id(),
                       static_cast<std::uint32_t>(spec.dim),
                       metric_name(spec.metric),
                       spec.primitive->name,
                       {}};
  for (std::size_t i = 0; i < values.size(); ++i) {
    change.options.emplace_back(spec.options.schema()[i].name, values[i]);
  }
  const std::string decay = decay_text(spec.decay);
  if (spec.decay.is_on()) change.options.emplace_back(kDecayOption, decay);
  const VectorSet& set = collection.set();
  if (set.is_auto) change.options.emplace_back(kAutoOption, std::string_view());
  const std::string projection = set.projection == nullptr ? std::string() : set.projection->text();
  if (set.projection != nullptr) change.options.emplace_back(kProjectionOption, projection);
  const std::string measured = number_text(spec.measured_share);
  if (spec.measured_share > 0) change.options.emplace_back(kMeasureOption, measured);
  if (spec.rows == RowsPlace::kDisk) change.options.emplace_back(kRowsOption, kRowsOnDisk);
  sink.record(change);
}

}  // namespace engram
