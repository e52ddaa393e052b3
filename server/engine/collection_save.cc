// SPDX-License-Identifier: Apache-2.0
// A collection as sections (server/durability/FORMAT.md), written while it changes.
//
// No copy is made of anything but links: a row does not change once its slot is committed, and a
// slot is not given back before the end of the save. So what is committed at the beginning can be
// read at leisure. What happens meanwhile is in the journal.
#include <string>
#include <utility>

#include "core/assert.h"
#include "primitives/slot_set_io.h"
#include "server/durability/little_endian.h"
#include "server/engine/collection.h"

namespace engram {
namespace {

constexpr std::string_view kStoredSection = "slots.stored";
constexpr std::string_view kKeysSection = "keys";
constexpr std::string_view kTuningSection = "tuning";

tl::unexpected<Error> damaged_section(std::string message) {
  return fail(ErrorCode::kDataLoss, std::move(message));
}

}  // namespace

void Collection::begin_save(std::function<void()> ready) {
  ENGRAM_ASSERT(!saving_ && after_reclaim_.empty());
  const auto start = [self = shared_from_this(), ready = std::move(ready)] {
    self->saving_ = true;
    self->save_ticket_ = self->rows_.enter();
    self->saved_tuning_.clear();
    if (!self->tuning_.empty()) encode(self->tuning_change(), self->saved_tuning_);
    self->gate_.enter(Access::kShared, ready);
  };
  if (reclaiming_) {
    after_reclaim_.push_back(start);
  } else {
    start();
  }
}

void Collection::end_save() {
  saving_ = false;
  gate_.leave(Access::kShared);
  rows_.leave(save_ticket_);
  reclaim_if_worthwhile();
}

Status Collection::save(SectionWriter& writer) const {
  SlotSet items;
  ENGRAM_TRY(items.reserve());
  ENGRAM_TRY(items.assign(current_));
  if (spec_.primitive->traits.saves_structure) ENGRAM_TRY(index_->save(writer, items));
  // After the index: its nodes all have rows by now, those that were inserted meanwhile too.
  SlotSet stored;
  ENGRAM_TRY(stored.reserve());
  ENGRAM_TRY(stored.assign(stored_));
  ENGRAM_TRY(save_slots(writer, kStoredSection, stored));
  ENGRAM_TRY(save_keys(writer, items));
  if (!saved_tuning_.empty()) {
    ENGRAM_TRY(writer.begin(kTuningSection));
    ENGRAM_TRY(writer.append(as_span(saved_tuning_)));
  }
  return store_->save(writer, stored);
}

Status Collection::save_keys(SectionWriter& writer, const SlotSet& items) const {
  constexpr std::size_t kPieceBytes = std::size_t{1} << 18;
  ENGRAM_TRY(writer.begin(kKeysSection));
  std::string piece;
  Status status;
  const auto flush = [&] {
    if (status) status = writer.append(std::as_bytes(std::span(piece)));
    piece.clear();
  };
  items.for_each(0, Slot{kMaxSlots}, [&](Slot slot) {
    const std::string& key = entries_[slot]->key;
    put_number(piece, slot);
    put_string(piece, key);
    if (piece.size() >= kPieceBytes) flush();
  });
  flush();
  return status;
}

Status Collection::load(SectionReader& reader) {
  SlotSet stored;
  ENGRAM_TRY(stored.reserve());
  ENGRAM_TRY(load_slots(reader, kStoredSection, Slot{kMaxSlots}, stored));
  ENGRAM_TRY(store_->load(reader, stored));
  ENGRAM_TRY(entries_.ensure(store_->slot_end()));
  ENGRAM_TRY(current_.ensure(store_->slot_end()));
  ENGRAM_TRY(stored_.assign(stored));
  ENGRAM_TRY(load_keys(reader, stored));
  if (spec_.primitive->traits.saves_structure) ENGRAM_TRY(index_->load(reader, current_));
  ENGRAM_TRY(load_tuning(reader));
  // Erased before the snapshot, or not committed yet: to be let go of like any other.
  stored.for_each(0, store_->slot_end(), [&](Slot slot) {
    if (current_.contains(slot)) return;
    if (spec_.primitive->traits.deferred_reclaim) {
      erased_.push_back(slot);
    } else {
      free_slot(slot);
    }
  });
  return {};
}

/// Fills entries_, keys_ and current_.
Status Collection::load_keys(SectionReader& reader, const SlotSet& stored) {
  const auto section = reader.section(kKeysSection);
  if (!section) return tl::unexpected(section.error());
  FieldReader fields(as_text(*section));
  std::vector<SlotEntry*> entries;
  entries.reserve(stored.size());
  while (!fields.rest().empty()) {
    const Slot slot = fields.number<Slot>();
    const std::string_view key = fields.string();
    if (!fields.ok()) return damaged_section("the section of keys ends in the middle of a key");
    if (!stored.contains(slot) || entries_[slot] != nullptr) {
      return damaged_section("slot " + std::to_string(slot) +
                             " has a key, and no row or a key already");
    }
    entries_[slot] = new SlotEntry{std::string(key), slot};
    entries.push_back(entries_[slot]);
    key_bytes_ += key.size();
    current_.add(slot);
  }
  // Overwritten while it was saved, a key was found at both places; the journal has the last word.
  keys_.fill(std::move(entries), [this](const SlotEntry* former) {
    key_bytes_ -= former->key.size();
    current_.erase(former->slot);
  });
  return {};
}

TuneIndex Collection::tuning_change() const {
  return {context_.id, {tuning_.begin(), tuning_.end()}};
}

/// An index that was never tuned has no such section, nor has one of an older engram.
Status Collection::load_tuning(SectionReader& reader) {
  if (!reader.size(kTuningSection)) return {};
  const auto section = reader.section(kTuningSection);
  if (!section) return tl::unexpected(section.error());
  std::string_view bytes = as_text(*section);
  const auto change = decode(bytes);
  if (!change) return tl::unexpected(change.error());
  const auto* const tuning = std::get_if<TuneIndex>(&*change);
  if (tuning == nullptr || !bytes.empty())
    return damaged_section("the section of tuning is not one");
  tuning_.assign(tuning->numbers.begin(), tuning->numbers.end());
  if (const Status sound = check_tuning(tuning_); !sound)
    return damaged_section(sound.error().message);
  adopt(tuning_);
  return {};
}

void Collection::rebuild(std::function<void(Status)> done) {
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
    write(
        [this, slots = std::exchange(slots, {}), status](Scratch& scratch) {
          for (const Slot slot : slots) {
            if (*status) *status = add_to_index(*entries_[slot], scratch);
          }
        },
        [rebuild, status] { rebuild->finish(std::move(*status)); });
  };
  current_.for_each(0, store_->slot_end(), [&](Slot slot) {
    slots.push_back(slot);
    if (slots.size() == kSlotsPerJob) submit();
  });
  if (!slots.empty()) submit();
  rebuild->finish({});
}

bool Collection::holds(std::string_view key, std::span<const float> vector, Slot slot) const {
  const SlotEntry* const entry = keys_.find(key);
  return entry != nullptr && entry->slot == slot && !key_order_.is_busy(key) &&
         store_->holds(slot, vector);
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
  sink.record(change);
}

}  // namespace engram
