// SPDX-License-Identifier: Apache-2.0
#include "server/engine/collection.h"

#include <xxhash.h>

#include <algorithm>
#include <utility>

namespace engram {

/// A job of a collection. It keeps the collection alive until its completion has been handled.
class Collection::Operation final : public Job {
 public:
  Operation(std::shared_ptr<Collection> collection, Access access,
            std::function<void(Scratch&)> work, std::function<void()> done)
      : collection_(std::move(collection)),
        access_(access),
        ticket_(collection_->grace_.enter()),
        work_(std::move(work)),
        done_(std::move(done)) {}

  void run(Scratch& scratch) noexcept override { work_(scratch); }

  void done() noexcept override {
    done_();
    collection_->grace_.leave(ticket_);
    collection_->gate_.leave(access_);
  }

 private:
  std::shared_ptr<Collection> collection_;
  Access access_;
  GracePeriod::Ticket ticket_;
  std::function<void(Scratch&)> work_;
  std::function<void()> done_;
};

Result<std::shared_ptr<Collection>> Collection::create(CollectionSpec spec,
                                                       const CollectionContext& context) {
  std::shared_ptr<Collection> collection(new Collection(std::move(spec), context));
  ENGRAM_TRY(collection->build());
  return collection;
}

Collection::Collection(CollectionSpec spec, const CollectionContext& context)
    : spec_(std::move(spec)),
      context_(context),
      changes_(context.id, context.sink),
      keys_(context.hash_seed) {}

Status Collection::build() {
  auto made = make_index(spec_);
  if (!made) return tl::unexpected(std::move(made.error()));
  store_ = std::move(made->store);
  kernel_ = std::move(made->kernel);
  index_ = std::move(made->index);
  view_.emplace(ReadView::Parts{.spec = spec_,
                                .kernel = *kernel_,
                                .store = *store_,
                                .index = *index_,
                                .entries = entries_,
                                .replacements = replacements_});
  ENGRAM_TRY(stored_.reserve());
  ENGRAM_TRY(current_.reserve());
  return entries_.reserve(kMaxSlots);
}

Collection::~Collection() {
  if (store_ == nullptr) return;
  const std::size_t slots = std::min<std::size_t>(store_->slot_end(), entries_.committed());
  for (std::size_t slot = 0; slot < slots; ++slot) delete entries_[slot];
}

Collection::Access Collection::write_access() const noexcept {
  return spec_.primitive->traits.concurrent ? Access::kShared : Access::kExclusive;
}

void Collection::run(Access access, Lane lane, std::function<void(Scratch&)> work,
                     std::function<void()> done) {
  gate_.enter(access, [self = shared_from_this(), access, lane, work = std::move(work),
                       done = std::move(done)]() mutable {
    WorkerPool& workers = self->context_.workers;
    workers.submit(
        std::make_unique<Operation>(std::move(self), access, std::move(work), std::move(done)),
        lane);
  });
}

void Collection::read(ReadWork work, std::function<void()> done) {
  run(
      Access::kShared, Lane::kInteractive,
      [this, work = std::move(work)](Scratch& scratch) { work(*view_, scratch); }, std::move(done));
}

void Collection::write(std::function<void(Scratch&)> work, std::function<void()> done) {
  auto start = [self = shared_from_this(), work = std::move(work), done = std::move(done)] {
    self->run(self->write_access(), Lane::kBulk, work, done);
  };
  if (must_wait_for_reclaim()) {
    delayed_writes_.push_back(std::move(start));
  } else {
    start();
  }
}

std::optional<std::vector<float>> Collection::get(std::string_view key) const {
  const SlotEntry* const entry = keys_.find(key);
  if (entry == nullptr) return std::nullopt;
  std::vector<float> vector(spec_.dim);
  store_->read(entry->slot, vector);
  return vector;
}

std::size_t Collection::memory_bytes() const noexcept {
  return store_->memory_bytes() + store_->live() * sizeof(SlotEntry) +
         slots() * sizeof(SlotEntry*) + keys_.memory_bytes() + key_bytes_;
}

Result<Slot> Collection::take_slot(Slot wanted) {
  if (wanted != kNoSlot) {
    ENGRAM_TRY(store_->allocate(wanted));
    return wanted;
  }
  Result<Slot> slot = store_->allocate();
  if (slot || freed_.empty()) return slot;
  reuse_freed();
  return store_->allocate();
}

Result<SlotEntry*> Collection::stage(std::string_view key, std::span<const float> vector,
                                     Slot wanted) {
  const Result<Slot> slot = take_slot(wanted);
  if (!slot) return tl::unexpected(slot.error());
  Status room = entries_.ensure(std::size_t{*slot} + 1);
  if (room) room = current_.ensure(*slot + 1);
  if (room) room = stored_.ensure(*slot + 1);
  if (!room) {
    store_->release(*slot);
    return tl::unexpected(std::move(room.error()));
  }
  store_->write(*slot, vector);
  entries_[*slot] = new SlotEntry{std::string(key), *slot};
  stored_.add(*slot);
  return entries_[*slot];
}

void Collection::erase(std::string_view key, std::function<void(bool)> done) {
  changes_.record(EraseVector{context_.id, key});
  key_order_.begin(key, [self = shared_from_this(), name = std::string(key), done = std::move(done),
                         change = changes_.begin()] { self->start_erase(name, done, change); });
}

void Collection::start_erase(const std::string& key, const std::function<void(bool)>& done,
                             const InProgress& change) {
  const SlotEntry* const entry = keys_.find(key);
  if (entry == nullptr) {
    change.end();
    done(false);
    key_order_.finish(key);
    return;
  }
  const Slot slot = entry->slot;
  write([this, slot](Scratch& scratch) { remove(slot, scratch); },
        [this, slot, key, done, change] {
          keys_.take(key);
          key_bytes_ -= key.size();
          retire(slot);
          change.end();
          done(true);
          key_order_.finish(key);
        });
}

/// On a worker.
Status Collection::insert(const SlotEntry& entry, Slot replaced, Scratch& scratch) {
  if (replaced == kNoSlot) return add_to_index(entry, scratch);
  const Replacements::Mark mark(replacements_);  // before a search can meet the second version
  ENGRAM_TRY(add_to_index(entry, scratch));
  replacements_.add(entry.slot);
  index_->erase(replaced, scratch);
  return {};
}

/// On a worker. An item's identity is a hash of its key that is the same on every machine.
Status Collection::add_to_index(const SlotEntry& entry, Scratch& scratch) {
  return index_->insert(entry.slot, XXH3_64bits(entry.key.data(), entry.key.size()), scratch);
}

/// On a worker.
void Collection::remove(Slot slot, Scratch& scratch) {
  const Replacements::Mark mark(
      replacements_);  // its key may be stored anew before a search has ended
  index_->erase(slot, scratch);
}

/// Makes `entry` the one of its key. True if the key is new.
bool Collection::commit(SlotEntry& entry) {
  const SlotEntry* const former = keys_.replace(&entry);
  current_.add(entry.slot);
  is_copy_stale_ = true;
  if (former != nullptr) {
    retire(former->slot);
    return false;
  }
  key_bytes_ += entry.key.size();
  return true;
}

void Collection::abandon_waiting() {
  const auto self = shared_from_this();  // what waits may hold the last reference
  after_reclaim_.clear();
  gate_.abandon_waiting();
  key_order_.abandon_waiting();
  std::exchange(delayed_writes_, {});
}

void Collection::retire(Slot slot) {
  current_.erase(slot);
  is_copy_stale_ = true;
  if (!spec_.primitive->traits.deferred_reclaim) {
    grace_.after([this, slot] { free_slot(slot); });
    return;
  }
  erased_.push_back(slot);
  reclaim_if_worthwhile();
}

/// A pass over the structure costs about the same for one slot as for many. At a sixteenth the work
/// per erased vector is a constant and the memory that waits is bounded.
std::size_t Collection::worth_reclaiming() const noexcept {
  constexpr std::size_t kFewest = 64;
  constexpr std::size_t kShare = 16;
  return std::max(kFewest, store_->live() / kShare);
}

/// Erasing is cheaper than reclaiming, so writers that erase without pause are slowed down to its
/// pace before what waits takes more memory. They queue in order: none overtakes one that waits.
bool Collection::must_wait_for_reclaim() const noexcept {
  return reclaiming_ && (!delayed_writes_.empty() || erased_.size() >= 2 * worth_reclaiming());
}

void Collection::reclaim_if_worthwhile() {
  if (reclaiming_ || saving_ || erased_.size() < worth_reclaiming()) return;
  start_reclaim([](const Status&) {});  // out of memory: tried again with the next erasure
}

void Collection::start_reclaim(std::function<void(Status)> done) {
  reclaiming_ = true;
  // An action may run inside the last operation's completion, which keeps `this` alive.
  const auto slots = std::make_shared<const std::vector<Slot>>(std::exchange(erased_, {}));
  grace_.after([this, slots, done = std::move(done)] { reclaim(slots, done); });
}

void Collection::settle(std::function<void(Status)> done) {
  if (reclaiming_) {
    after_reclaim_.push_back([this, done = std::move(done)] { settle(done); });
  } else if (!erased_.empty()) {
    start_reclaim(std::move(done));
  } else {
    grace_.after([this, done = std::move(done)] {
      reuse_freed();
      done({});
    });
  }
}

void Collection::reclaim(const Slots& slots, const std::function<void(Status)>& done) {
  const auto status = std::make_shared<Status>();
  run(
      write_access(), Lane::kBulk,
      [this, slots, status](Scratch& scratch) { *status = index_->reclaim(*slots, scratch); },
      [this, slots, status, done] { end_reclaim(slots, std::move(*status), done); });
}

void Collection::end_reclaim(const Slots& slots, Status status,
                             const std::function<void(Status)>& done) {
  reclaiming_ = false;
  const bool is_done = status.has_value();
  if (is_done) {
    grace_.after([this, slots, done] {
      for (const Slot slot : *slots) free_slot(slot);
      reuse_freed();
      done({});
    });
  } else {
    erased_.insert(erased_.end(), slots->begin(), slots->end());
    done(std::move(status));
  }
  for (const auto& start : std::exchange(after_reclaim_, {})) start();
  if (is_done) reclaim_if_worthwhile();
  for (const auto& start : std::exchange(delayed_writes_, {})) start();
}

/// Slots come back some at a time. A replayed journal has to wait for a slot that it wants again,
/// and not for each one so.
void Collection::free_slot(Slot slot) {
  rows_.after([this, slot] {
    constexpr std::size_t kBatch = 64;
    stored_.erase(slot);
    delete std::exchange(entries_[slot], nullptr);
    freed_.push_back(slot);
    if (freed_.size() >= kBatch) reuse_freed();
  });
}

void Collection::reuse_freed() {
  for (const Slot slot : std::exchange(freed_, {})) store_->release(slot);
}

}  // namespace engram
