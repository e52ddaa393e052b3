// SPDX-License-Identifier: Apache-2.0
#include "server/engine/item_writer.h"

#include <xxhash.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "core/assert.h"
#include "server/durability/change.h"

namespace engram {

/// What some puts still wait for.
struct ItemWriter::Batch {
  std::shared_ptr<void> owner;  // a put that waits for its key is no job yet
  std::function<void(Result<std::size_t>)> done;
  std::size_t unfinished;
  CollectionChanges::InProgress change;
  std::size_t added = 0;
  std::optional<Error> error = std::nullopt;
};

struct ItemWriter::Write {
  SlotEntry* entry;
  Slot replaced;  // kNoSlot if the key is new
  Status status;
};

void ItemWriter::run(Operations::Work work, std::function<void()> done) {
  auto start = [this, owner = parts_.operations.owner(), work = std::move(work),
                done = std::move(done)] { parts_.operations.write(work, done); };
  if (parts_.operations.is_warm()) return parts_.reclaimer.admit_write(std::move(start));
  parts_.operations.when_warm([this, start] { parts_.reclaimer.admit_write(start); });
}

void ItemWriter::put(std::vector<SlotEntry*> entries, std::span<const float> vectors,
                     const StrengthGain& gain, std::span<const GivenAttributes> attributes,
                     std::function<void(Result<std::size_t>)> done) {
  ENGRAM_ASSERT(!entries.empty());
  const std::int64_t ms = parts_.strengths == nullptr ? 0 : parts_.strengths->take_time(gain);
  const std::size_t dim = vectors.size() / entries.size();
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (parts_.changes.are_recorded()) {
      parts_.changes.record(PutVector{parts_.changes.id(), entries[i]->slot(), entries[i]->key(),
                                      packed(vectors.subspan(i * dim, dim))});
    }
    begin_attributes(*entries[i], attributes[attributes.size() == 1 ? 0 : i]);
    if (parts_.strengths != nullptr) begin_strength(*entries[i], gain, ms);
    parts_.puts.begin(entries[i]->slot());
  }
  const auto batch = std::make_shared<Batch>(
      Batch{parts_.operations.owner(), std::move(done), entries.size(), parts_.changes.begin()});
  // Jobs of several inserts: enough of them to keep every worker busy, few enough that a batch of
  // thousands does not drown the queue. A key that is being written joins later, on its own.
  const std::size_t jobs = parts_.operations.workers() * 4;
  const std::size_t job_size = std::clamp<std::size_t>(entries.size() / jobs, 1, largest_job());
  const auto ready = std::make_shared<std::vector<SlotEntry*>>();
  for (SlotEntry* const entry : entries) {
    const auto is_collecting = std::weak_ptr(ready);
    parts_.key_order.begin(
        entry->key(),
        [this, batch, entry, is_collecting] {
          if (const auto collecting = is_collecting.lock()) {
            collecting->push_back(entry);
          } else {
            start(batch, {entry});
          }
        },
        entry->slot());
    if (ready->size() == job_size) start(batch, std::exchange(*ready, {}));
  }
  if (!ready->empty()) start(batch, std::exchange(*ready, {}));
}

/// Fewer where an insert takes long, so that no job does.
std::size_t ItemWriter::largest_job() const noexcept {
  constexpr std::size_t kMostInserts = 16;
  constexpr std::uint64_t kMostUs = 50'000;
  const std::uint64_t us = insert_us_.load(std::memory_order_relaxed);
  return std::clamp<std::size_t>(kMostUs / (us + 1), 1, kMostInserts);
}

void ItemWriter::start(const std::shared_ptr<Batch>& batch,
                       const std::vector<SlotEntry*>& entries) {
  const auto writes = std::make_shared<std::vector<Write>>();
  for (SlotEntry* const entry : entries) {
    const SlotEntry* const former = parts_.keys.find(entry->key());
    writes->push_back({entry, former == nullptr ? kNoSlot : former->slot(), {}});
  }
  run(
      [this, writes](Scratch& scratch) {
        const std::uint64_t begun = ticks_now();
        for (Write& write : *writes) {
          write.status = insert(*write.entry, write.replaced, scratch);
        }
        const std::uint64_t each_ns = ns_between(begun, ticks_now()) / writes->size();
        insert_us_.store(each_ns / 1000, std::memory_order_relaxed);
        parts_.series.record(IndexWork::kInsert, each_ns, writes->size());
        parts_.series.set_structure_bytes(parts_.index.memory_bytes());
      },
      [this, batch, writes] { finish(batch, *writes); });
}

void ItemWriter::finish(const std::shared_ptr<Batch>& batch, std::vector<Write>& writes) {
  std::vector<std::string> keys;
  for (Write& write : writes) {
    keys.emplace_back(write.entry->key());
    const Slot slot = write.entry->slot();
    if (write.status) {
      batch->added += commit(*write.entry) ? 1 : 0;
    } else {
      if (!batch->error) batch->error = std::move(write.status.error());
      discard_attributes(*write.entry);
      undo_strength(*write.entry);
      record_failure(*write.entry);
      parts_.reclaimer.discard(slot);
    }
    parts_.puts.end(slot);
  }
  batch->unfinished -= writes.size();
  const bool is_finished = batch->unfinished == 0;
  if (is_finished) batch->change.end();
  // Starts writes that waited, perhaps of this very batch. Before done(), which may begin another
  // write to these keys.
  for (const std::string& key : keys) parts_.key_order.finish(key);
  if (!is_finished) return;
  if (batch->error) {
    batch->done(tl::unexpected(std::move(*batch->error)));
  } else {
    batch->done(batch->added);
  }
}

/// Makes `entry` the one of its key. True if the key is new.
bool ItemWriter::commit(SlotEntry& entry) {
  if (parts_.strengths != nullptr) {
    [[maybe_unused]] const auto done = parts_.strengths->take_noted(entry.key(), entry.slot());
  }
  const SlotEntry* const former = parts_.keys.replace(entry);
  parts_.slots.make_current(entry.slot());
  settle_attributes(entry, former == nullptr ? kNoSlot : former->slot());
  parts_.attributes.enter(entry.slot());
  if (former == nullptr) return true;
  leave(former->slot());
  return false;
}

/// The slot is the place of a key no more.
void ItemWriter::leave(Slot slot) {
  if (parts_.strengths != nullptr) parts_.strengths->remove(slot);
  parts_.attributes.leave(slot);
  parts_.reclaimer.retire(slot);
}

/// The put did not happen. What was done to the strength of its key meanwhile was done, to what the
/// key holds instead.
void ItemWriter::undo_strength(const SlotEntry& entry) {
  if (parts_.strengths == nullptr) return;
  Strengths& strengths = *parts_.strengths;
  strengths.remove(entry.slot());
  const auto effects = strengths.take_noted(entry.key(), entry.slot());
  const SlotEntry* const former = parts_.keys.find(entry.key());
  if (former == nullptr || effects.empty()) return;
  Trace trace = strengths.trace(former->slot());
  for (const StrengthEffect& effect : effects) effect.apply(strengths.decay(), trace);
  strengths.set(former->slot(), trace);
}

/// The put was recorded, and did not happen: what the key holds instead is recorded, unless a later
/// write to it, which was recorded already, is about to replace that anyway. A former vector under
/// cosine, or of codes, may come back different in the last place.
void ItemWriter::record_failure(const SlotEntry& entry) {
  const CollectionChanges& changes = parts_.changes;
  if (!changes.are_recorded() || parts_.key_order.is_contended(entry.key())) return;
  if (const SlotEntry* const former = parts_.keys.find(entry.key())) {
    std::vector<float> vector(parts_.store.dim());
    parts_.store.read(former->slot(), vector);
    // Zeros in the place of a vector that could not be read would outlast the damage.
    if (parts_.soundness != nullptr && !parts_.soundness->holds()) return;
    if (!parts_.store.check_rows()) return;
    changes.record(PutVector{changes.id(), former->slot(), entry.key(), packed(vector)});
    if (parts_.strengths != nullptr) {
      record_strength(entry.key(), former->slot(), parts_.strengths->last_ms());
    }
    record_attributes(entry.key(), former->slot());
  } else {
    changes.record(EraseVector{changes.id(), entry.key()});
  }
}

void ItemWriter::put_again(std::string_view key, std::function<void(Status)> done) {
  parts_.key_order.begin(key, [this, name = std::string(key), done = std::move(done)] {
    const SlotEntry* const entry = parts_.keys.find(name);
    const auto status = std::make_shared<Status>();
    run(
        [this, entry, status](Scratch& scratch) {
          parts_.index.erase(entry->slot(), scratch);
          *status = add_to_index(*entry, scratch);
        },
        [this, name, status, done] {
          parts_.key_order.finish(name);
          done(std::move(*status));
        });
  });
}

void ItemWriter::erase(std::string_view key, std::function<void(bool)> done) {
  // Nothing to remove, now or when what waits has been carried out: no change.
  if (parts_.keys.find(key) == nullptr && !parts_.key_order.is_busy(key)) return done(false);
  parts_.changes.record(EraseVector{parts_.changes.id(), key});
  parts_.key_order.begin(
      key,
      [this, owner = parts_.operations.owner(), name = std::string(key), done = std::move(done),
       change = parts_.changes.begin()] { start_erase(name, done, change); },
      kNoSlot);
}

void ItemWriter::erase_after(const std::shared_ptr<Outcome>& outcome, std::string_view key,
                             std::function<void()> done) {
  parts_.changes.record(EraseVector{parts_.changes.id(), key});
  parts_.key_order.begin(
      key,
      [this, outcome, owner = parts_.operations.owner(), name = std::string(key),
       done = std::move(done), change = parts_.changes.begin()] {
        outcome->when_settled([this, owner, name, done, change](bool good) {
          if (good)
            return start_erase(
                name, [done](bool) { done(); }, change);
          keep_after_all(name, change);
          done();
        });
      },
      kNoSlot);
}

/// An erase was recorded, and is not to happen.
void ItemWriter::keep_after_all(const std::string& key,
                                const CollectionChanges::InProgress& change) {
  if (const SlotEntry* const entry = parts_.keys.find(key)) record_failure(*entry);
  change.end();
  parts_.key_order.finish(key);
}

void ItemWriter::start_erase(const std::string& key, const std::function<void(bool)>& done,
                             const CollectionChanges::InProgress& change) {
  const SlotEntry* const entry = parts_.keys.find(key);
  if (entry == nullptr) {
    change.end();
    parts_.key_order.finish(key);
    return done(false);
  }
  const Slot slot = entry->slot();
  run(
      [this, slot](Scratch& scratch) {
        const IndexWorkTimer timer(parts_.series, IndexWork::kErase);
        remove(slot, scratch);
        parts_.series.set_structure_bytes(parts_.index.memory_bytes());
      },
      [this, slot, key, done, change] {
        parts_.keys.remove(key);
        leave(slot);
        change.end();
        parts_.key_order.finish(key);
        done(true);
      });
}

/// Before the index has the slot, so that no search meets it without its strength.
void ItemWriter::begin_strength(const SlotEntry& entry, const StrengthGain& gain, std::int64_t ms) {
  Strengths& strengths = *parts_.strengths;
  const Decay& decay = strengths.decay();
  const Slot former = gain.adds ? place_of(entry.key()) : kNoSlot;
  Trace trace;
  if (former == kNoSlot) {
    trace = new_trace(decay, gain.gain, ms, gain.rule);
  } else {
    trace = strengths.trace(former);
    change_rule(decay, gain.rule, ms, trace);
    add_gain(decay, gain.gain, ms, trace);
  }
  strengths.set(entry.slot(), trace);
  parts_.key_order.set_place(entry.key(), entry.slot());  // for the next of these entries
  record_strength(entry.key(), entry.slot(), ms);
}

Slot ItemWriter::place_of(std::string_view key) const {
  if (const auto place = parts_.key_order.place(key)) return *place;
  const SlotEntry* const entry = parts_.keys.find(key);
  return entry == nullptr ? kNoSlot : entry->slot();
}

void ItemWriter::record_strength(std::string_view key, Slot slot, std::int64_t ms) const {
  if (!parts_.changes.are_recorded()) return;
  parts_.changes.record(SetStrength{parts_.changes.id(), key, ms, parts_.strengths->trace(slot)});
}

/// Before the index has the slot, so that no search meets it without its attributes; and before the
/// place of its key is told.
void ItemWriter::begin_attributes(const SlotEntry& entry, GivenAttributes given) {
  Attributes& attributes = parts_.attributes;
  if (!attributes.are_allowed()) return;
  if (given) {
    attributes.give(entry.slot(), *given);
  } else {
    using Origin = Attributes::Origin;
    const Slot former = place_of(entry.key());
    attributes.share(entry.slot(), former);
    const bool is_since = attributes.origin(former) == Origin::kSince;
    attributes.set_origin(entry.slot(), is_since ? Origin::kSince : Origin::kKept);
  }
  record_attributes(entry.key(), entry.slot());
}

/// After a put, which says that there are none.
void ItemWriter::record_attributes(std::string_view key, Slot slot) const {
  const std::string_view text = parts_.attributes.text(slot);
  if (!text.empty()) parts_.changes.record(SetAttributes{parts_.changes.id(), key, text});
}

bool ItemWriter::set_attributes(std::string_view key, std::string_view text) {
  const Slot slot = place_of(key);
  if (slot == kNoSlot) return false;
  Attributes& attributes = parts_.attributes;
  if (parts_.slots.is_current(slot)) {
    attributes.change(slot, text);
  } else {
    attributes.give(slot, text);
    attributes.set_origin(slot, Attributes::Origin::kSince);
  }
  parts_.changes.record(SetAttributes{parts_.changes.id(), key, text});
  parts_.changes.begin().end();
  return true;
}

/// The put of `entry` is carried out, over `former`. If it keeps what an earlier put was to give,
/// and that failed, it does not.
void ItemWriter::settle_attributes(const SlotEntry& entry, Slot former) {
  Attributes& attributes = parts_.attributes;
  const bool is_right = attributes.origin(entry.slot()) != Attributes::Origin::kKept ||
                        attributes.are_shared(entry.slot(), former);
  if (is_right) return;
  attributes.share(entry.slot(), former);
  if (place_of(entry.key()) != entry.slot()) return;  // a later write has the last word
  parts_.changes.record(
      SetAttributes{parts_.changes.id(), entry.key(), attributes.text(entry.slot())});
}

/// The put of `entry` has failed.
void ItemWriter::discard_attributes(const SlotEntry& entry) {
  Attributes& attributes = parts_.attributes;
  const SlotEntry* const former = parts_.keys.find(entry.key());
  if (former != nullptr && attributes.origin(entry.slot()) == Attributes::Origin::kSince) {
    attributes.take_over(former->slot(), entry.slot());
  }
  attributes.discard(entry.slot());
}

std::optional<double> ItemWriter::affect(std::string_view key, const StrengthEffect& effect) {
  const Slot slot = place_of(key);
  if (slot == kNoSlot) return std::nullopt;
  const Decay& decay = parts_.strengths->decay();
  Trace trace = parts_.strengths->trace(slot);
  if (effect.apply(decay, trace)) {
    if (parts_.puts.contains(slot)) parts_.strengths->note(key, slot, effect);
    set_strength(key, trace, effect.ms);
  }
  return log_strength(decay, trace, effect.ms);
}

void ItemWriter::set_strength(std::string_view key, const Trace& trace, std::int64_t ms) {
  const Slot slot = place_of(key);
  if (slot == kNoSlot) return;
  parts_.strengths->pass_time(ms);
  parts_.strengths->set(slot, trace);
  record_strength(key, slot, ms);
  parts_.changes.begin().end();
}

Status ItemWriter::insert(const SlotEntry& entry, Slot replaced, Scratch& scratch) {
  if (replaced == kNoSlot) return add_to_index(entry, scratch);
  const Replacements::Mark mark(parts_.replacements);
  ENGRAM_TRY(add_to_index(entry, scratch));
  parts_.replacements.add(entry.slot());
  parts_.index.erase(replaced, scratch);
  return {};
}

/// An item's identity is a hash of its key that is the same on every machine. Where order counts,
/// inserts run alone, so they can be counted.
Status ItemWriter::add_to_index(const SlotEntry& entry, Scratch& scratch) {
  const std::uint64_t sequence = parts_.traits.order_dependent ? ++last_sequence_ : 0;
  return parts_.index.insert({.slot = entry.slot(),
                              .identity = XXH3_64bits(entry.key().data(), entry.key().size()),
                              .sequence = sequence},
                             scratch);
}

void ItemWriter::remove(Slot slot, Scratch& scratch) {
  // A search that has met the slot may go on to meet its key anew, stored by a later write.
  const Replacements::Mark mark(parts_.replacements);
  parts_.index.erase(slot, scratch);
}

void ItemWriter::rebuild(std::function<void(Status)> done) {
  constexpr std::size_t kSlotsPerJob = 64;
  struct Rebuild {
    std::function<void(Status)> done;
    std::size_t unfinished = 1;
    Status status = {};

    void finish(Status outcome) {
      if (status) status = std::move(outcome);
      if (--unfinished == 0) done(std::move(status));
    }
  };
  const auto rebuild = std::make_shared<Rebuild>(Rebuild{std::move(done)});
  std::vector<Slot> slots;
  const auto submit = [&] {
    const auto status = std::make_shared<Status>();
    ++rebuild->unfinished;
    run(
        [this, slots = std::exchange(slots, {}), status](Scratch& scratch) {
          for (const Slot slot : slots) {
            if (*status) *status = add_to_index(*parts_.slots.entries()[slot], scratch);
          }
        },
        [rebuild, status] { rebuild->finish(std::move(*status)); });
  };
  parts_.slots.current().for_each(0, parts_.slots.end(), [&](Slot slot) {
    slots.push_back(slot);
    if (slots.size() == kSlotsPerJob) submit();
  });
  if (!slots.empty()) submit();
  rebuild->finish({});
}

}  // namespace engram
