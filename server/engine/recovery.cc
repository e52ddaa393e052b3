// SPDX-License-Identifier: Apache-2.0
#include "server/engine/recovery.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/row.h"
#include "server/durability/change.h"
#include "server/durability/journal_reader.h"
#include "server/durability/little_endian.h"
#include "server/durability/store_sections.h"
#include "server/engine/collection.h"
#include "server/engine/keyspace.h"
#include "server/runtime/log.h"
#include "server/runtime/process.h"

namespace engram {
namespace {

using Clock = std::chrono::steady_clock;

/// Vectors being inserted while more of the journal is read.
constexpr std::size_t kMostInFlight = 4096;

tl::unexpected<Error> damaged(std::string message) {
  return fail(ErrorCode::kDataLoss, std::move(message));
}

/// A put that was not carried out.
struct Displaced {
  Slot slot;
  std::vector<float> vector;
};

class Recovery {
 public:
  Recovery(StoreFiles& files, const RecoveryContext& context) : files_(files), context_(context) {}

  Result<Recovered> run() {
    Status restored = load_snapshot();
    if (restored) restored = repeat_journal();
    const Status ended =
        wait_until_idle(0);  // after a failure, too: what is under way refers to this
    ENGRAM_TRY(restored);
    ENGRAM_TRY(ended);
    return std::move(recovered_);
  }

 private:
  Status load_snapshot();
  Status load_strings(SectionReader& sections);
  Status load_collections(SectionReader& sections);
  Status load_collection(const NewCollection& change);
  Status repeat_journal();
  Status apply_all(std::string_view changes);
  void log_progress(Lsn lsn);
  Status wait_until_idle(std::size_t most_in_flight);

  Status apply(const SetString& change);
  Status apply(const AppendString& change);
  Status apply(const EraseKey& change);
  Status apply(const SetExpiry& change);
  Status apply(const ClearKeys& change);
  Status apply(const NewCollection& change);
  Status apply(const PutVector& change);
  Status apply(const EraseVector& change);
  Status apply(const TuneIndex& change);
  Status put(const std::shared_ptr<Collection>& collection, std::string_view key,
             std::span<const float> vector, Slot slot);
  Status make_free(Collection& collection, Slot slot);
  void forget_displaced(std::uint64_t id, std::string_view key);
  Status put_displaced();

  Result<std::shared_ptr<Collection>> create(const NewCollection& change);
  void add(const NewCollection& change, const std::shared_ptr<Collection>& collection);
  std::shared_ptr<Collection> find(std::uint64_t id) const;
  /// What to call when something that was begun now has ended.
  std::function<void(Status)> begin();

  StoreFiles& files_;
  const RecoveryContext& context_;
  StoreId id_ = {};
  Recovered recovered_;
  Lsn needed_ = 0;  // the journal has to reach so far
  std::unordered_map<std::uint64_t, std::weak_ptr<Collection>> collections_;
  std::vector<float> vector_;
  /// Puts whose slot another vector has, by collection and key.
  std::map<std::pair<std::uint64_t, std::string>, Displaced> displaced_;
  std::size_t in_flight_ = 0;
  Status status_;  // the first failure of what was in flight
  Clock::time_point logged_ = Clock::now();
};

/// Waits for work that is under way until at most so much is left.
Status Recovery::wait_until_idle(std::size_t most_in_flight) {
  while (in_flight_ > most_in_flight) {
    context_.wait_for_workers();
    context_.workers.poll_completions();
  }
  return status_;
}

std::function<void(Status)> Recovery::begin() {
  ++in_flight_;
  return [this](Status outcome) {
    --in_flight_;
    if (status_) status_ = std::move(outcome);
  };
}

Status Recovery::load_snapshot() {
  auto snapshot = SnapshotFile::open(files_, id_);
  if (!snapshot && snapshot.error().code == ErrorCode::kNotFound) return {};
  if (!snapshot) return tl::unexpected(std::move(snapshot.error()));
  recovered_.snapshot = std::move(*snapshot);
  const auto sections = recovered_.snapshot->sections_of(kStoreOwner);
  ENGRAM_TRY(load_strings(*sections));
  ENGRAM_TRY(load_collections(*sections));
  const auto counters = read_counters(*sections);
  if (!counters) return tl::unexpected(counters.error());
  const std::uint64_t next_id = counters->next_collection_id;
  if (next_id > 0) context_.keyspace.reserve_collection_id(next_id - 1);
  needed_ = counters->journal_reaches;
  return wait_until_idle(0);
}

Status Recovery::load_strings(SectionReader& sections) {
  const auto section = sections.section(kStringsSection);
  if (!section) return tl::unexpected(section.error());
  std::string_view bytes = as_text(*section);
  while (!bytes.empty()) {
    const auto change = decode(bytes);
    if (!change) return tl::unexpected(change.error());
    const auto* const string = std::get_if<SetString>(&*change);
    if (string == nullptr) return damaged("the snapshot's strings hold something else");
    ENGRAM_TRY(apply(*string));
  }
  return {};
}

Status Recovery::load_collections(SectionReader& sections) {
  const auto section = sections.section(kCollectionsSection);
  if (!section) return tl::unexpected(section.error());
  std::string_view bytes = as_text(*section);
  while (!bytes.empty()) {
    const auto change = decode(bytes);
    if (!change) return tl::unexpected(change.error());
    const auto* const collection = std::get_if<NewCollection>(&*change);
    if (collection == nullptr) return damaged("the snapshot's collections hold something else");
    ENGRAM_TRY(load_collection(*collection));
  }
  return {};
}

Status Recovery::load_collection(const NewCollection& change) {
  const auto collection = create(change);
  if (!collection) return tl::unexpected(collection.error());
  const auto sections = recovered_.snapshot->sections_of(change.id);
  if (Status loaded = (*collection)->load(*sections); !loaded) {
    Error& error = loaded.error();
    error.message = "index '" + std::string(change.key) + "': " + error.message;
    return loaded;
  }
  add(change, *collection);
  if (!(*collection)->spec().primitive->traits.saves_structure) {
    (*collection)->rebuild(begin());
  }
  return {};
}

Status Recovery::repeat_journal() {
  const Lsn from = recovered_.snapshot == nullptr ? 1 : recovered_.snapshot->replay_from();
  const auto end =
      read_journal(files_, id_, from, [&](Lsn lsn, std::string_view changes) -> Status {
        if (Status applied = apply_all(changes); !applied) {
          Error& error = applied.error();
          error.message = "frame " + std::to_string(lsn) + " of the journal: " + error.message;
          return applied;
        }
        log_progress(lsn);
        return wait_until_idle(kMostInFlight);
      });
  if (!end) return tl::unexpected(end.error());
  if (end->next <= needed_) {
    return damaged("the journal ends before LSN " + std::to_string(end->next) +
                   ", but the snapshot was taken while writes up to LSN " +
                   std::to_string(needed_) + " went on, and is not whole without them");
  }
  ENGRAM_TRY(put_displaced());
  if (end->torn) {
    log_warning(end->torn->path + " ends in " + std::to_string(end->torn->bytes) +
                " bytes that were not completely written; they are cut off");
    ENGRAM_TRY(cut(files_, *end->torn));
  }
  recovered_.next = end->next;
  recovered_.frames = end->frames;
  if (id_ == StoreId{}) id_ = random_id();
  files_.set_id(id_);
  return {};
}

Status Recovery::apply_all(std::string_view changes) {
  while (!changes.empty()) {
    const auto change = decode(changes);
    if (!change) return tl::unexpected(change.error());
    ENGRAM_TRY(std::visit([this](const auto& it) { return apply(it); }, *change));
  }
  return {};
}

void Recovery::log_progress(Lsn lsn) {
  constexpr auto kInterval = std::chrono::seconds(1);
  if (Clock::now() - logged_ < kInterval) return;
  logged_ = Clock::now();
  log_info("repeating the journal: at LSN " + std::to_string(lsn));
}

Status Recovery::apply(const SetString& change) {
  context_.keyspace.set(change.key, std::string(change.value));
  if (change.expires_ms != kNeverExpires) {
    context_.keyspace.expire_at(change.key, change.expires_ms);
  }
  return {};
}

Status Recovery::apply(const AppendString& change) {
  const Value* const value = context_.keyspace.peek(change.key);
  // A snapshot may know what came of the key later; then the journal says so too, further on.
  if (value != nullptr && !std::holds_alternative<std::string>(*value)) return {};
  context_.keyspace.put_suffix(change.key, change.offset, change.suffix);
  return {};
}

Status Recovery::apply(const EraseKey& change) {
  context_.keyspace.erase(change.key);
  return {};
}

Status Recovery::apply(const SetExpiry& change) {
  if (change.expires_ms == kNeverExpires) {
    context_.keyspace.persist(change.key);
  } else {
    context_.keyspace.expire_at(change.key, change.expires_ms);
  }
  return {};
}

Status Recovery::apply(const ClearKeys&) {
  context_.keyspace.clear();
  return {};
}

/// A collection that the snapshot knows already stays: what the journal puts into it is there, or
/// comes.
Status Recovery::apply(const NewCollection& change) {
  if (const Value* const value = context_.keyspace.peek(change.key)) {
    const auto* const existing = std::get_if<std::shared_ptr<Collection>>(value);
    if (existing != nullptr && (*existing)->id() == change.id) return {};
  }
  const auto collection = create(change);
  if (!collection) return tl::unexpected(collection.error());
  add(change, *collection);
  return {};
}

Status Recovery::apply(const PutVector& change) {
  const auto collection = find(change.id);
  if (collection == nullptr) return {};
  vector_.resize(collection->spec().dim);
  if (change.vector.size() != vector_.size() * sizeof(float)) {
    return damaged("a vector of " + std::to_string(change.vector.size()) + " bytes, " +
                   std::to_string(vector_.size() * sizeof(float)) + " were expected");
  }
  std::memcpy(vector_.data(), change.vector.data(), change.vector.size());
  ENGRAM_TRY(check_vector(vector_));
  if (change.slot >= kMaxSlots) {
    return damaged("there is no slot " + std::to_string(change.slot) + ", " +
                   std::to_string(kMaxSlots) + " is the most");
  }
  forget_displaced(change.id, change.key);
  if (collection->holds(change.key, vector_, change.slot)) return {};
  ENGRAM_TRY(make_free(*collection, change.slot));
  if (!collection->is_free(change.slot)) {
    displaced_.insert({{change.id, std::string(change.key)}, {change.slot, vector_}});
    return {};
  }
  return put(collection, change.key, vector_, change.slot);
}

Status Recovery::put(const std::shared_ptr<Collection>& collection, std::string_view key,
                     std::span<const float> vector, Slot slot) {
  Collection::PutBatch batch(collection);
  ENGRAM_TRY(batch.add(key, vector, slot));
  batch.commit([done = begin()](Result<std::size_t> added) {
    done(added ? Status{} : Status(tl::unexpected(std::move(added.error()))));
  });
  return {};
}

/// When `slot` was chosen it was free. So it is now, once what went before has come to its end,
/// unless the snapshot knows already what came to lie there later.
Status Recovery::make_free(Collection& collection, Slot slot) {
  if (collection.is_free(slot)) return {};
  ENGRAM_TRY(wait_until_idle(0));
  if (collection.is_free(slot) || collection.is_held(slot)) return {};
  collection.settle(begin());
  return wait_until_idle(0);
}

/// Another change to the key has come. Seldom is there anything to forget.
void Recovery::forget_displaced(std::uint64_t id, std::string_view key) {
  if (!displaced_.empty()) displaced_.erase({id, std::string(key)});
}

/// Puts what found its slot taken and was followed by no other change to its key. In a sound store
/// what took it has left by now. Where frames were lost it may not have: then any slot will do.
Status Recovery::put_displaced() {
  std::set<std::shared_ptr<Collection>> collections;
  for (const auto& [name, displaced] : displaced_) {
    const auto collection = find(name.first);
    if (collection == nullptr) continue;
    collection->erase(name.second, [done = begin()](bool) { done({}); });
    collections.insert(collection);
  }
  ENGRAM_TRY(wait_until_idle(0));
  for (const auto& collection : collections) collection->settle(begin());
  ENGRAM_TRY(wait_until_idle(0));
  for (const bool anywhere : {false, true}) {  // who finds its slot free goes first
    for (auto& [name, displaced] : displaced_) {
      const auto collection = find(name.first);
      if (collection == nullptr || displaced.vector.empty()) continue;
      if (!anywhere && !collection->is_free(displaced.slot)) continue;
      const Slot slot = anywhere ? kNoSlot : displaced.slot;
      ENGRAM_TRY(put(collection, name.second, std::exchange(displaced.vector, {}), slot));
    }
  }
  displaced_.clear();
  return {};
}

Status Recovery::apply(const EraseVector& change) {
  forget_displaced(change.id, change.key);
  if (const auto collection = find(change.id)) {
    collection->erase(change.key, [done = begin()](bool) { done({}); });
  }
  return {};
}

Status Recovery::apply(const TuneIndex& change) {
  const auto collection = find(change.id);
  if (collection == nullptr) return {};
  const auto done = begin();
  const Status tuned =
      collection->tune({change.numbers.begin(), change.numbers.end()}, [done] { done({}); });
  if (tuned) return {};
  done({});
  return damaged(tuned.error().message);
}

Result<std::shared_ptr<Collection>> Recovery::create(const NewCollection& change) {
  const std::string name = "index '" + std::string(change.key) + "'";
  const auto metric = metric_from_name(change.metric);
  if (!metric) {
    return fail(ErrorCode::kUnsupported,
                name + " has the unknown metric '" + std::string(change.metric) + "'");
  }
  const auto primitive = find_primitive(change.primitive);
  if (!primitive) {
    return fail(ErrorCode::kUnsupported, name + " cannot be read: " + primitive.error().message);
  }
  auto options = Options::parse((*primitive)->create_options, change.options);
  if (!options) {
    return fail(ErrorCode::kUnsupported, name + " cannot be read: " + options.error().message);
  }
  return Collection::create(
      {.dim = change.dim,
       .metric = *metric,
       .primitive = *primitive,
       .options = std::move(*options),
       .kernel_name = context_.kernel_name},
      {.workers = context_.workers, .id = change.id, .hash_seed = random_seed()});
}

void Recovery::add(const NewCollection& change, const std::shared_ptr<Collection>& collection) {
  collections_[change.id] = collection;
  context_.keyspace.reserve_collection_id(change.id);
  context_.keyspace.set(change.key, collection);
  if (change.expires_ms != kNeverExpires) {
    context_.keyspace.expire_at(change.key, change.expires_ms);
  }
}

std::shared_ptr<Collection> Recovery::find(std::uint64_t id) const {
  const auto found = collections_.find(id);
  return found == collections_.end() ? nullptr : found->second.lock();
}

}  // namespace

Result<Recovered> recover(StoreFiles& files, const RecoveryContext& context) {
  return Recovery(files, context).run();
}

}  // namespace engram
