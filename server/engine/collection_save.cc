// SPDX-License-Identifier: Apache-2.0
#include "server/engine/collection_save.h"

#include <span>
#include <string>
#include <utility>

#include "core/slot_set_io.h"
#include "server/durability/little_endian.h"
#include "server/engine/collection_sections.h"

namespace engram {

void CollectionSave::begin(std::function<void()> ready) {
  parts_.reclaimer.pause([this, owner = parts_.operations.owner(), ready = std::move(ready)] {
    pin_ = parts_.slots.pin_rows();
    tuning_ = parts_.tuner.encoded();
    parts_.operations.begin_reading(ready);
  });
}

void CollectionSave::end() {
  parts_.operations.end_reading();
  parts_.slots.unpin_rows(pin_);
  parts_.reclaimer.resume();
}

Status CollectionSave::write(SectionWriter& writer) const {
  SlotSet items;
  ENGRAM_TRY(items.assign(parts_.slots.current()));
  if (parts_.traits.saves_structure) ENGRAM_TRY(parts_.index.save(writer, items));
  // After the index: its nodes all have rows by now, those that were inserted meanwhile too.
  SlotSet stored;
  ENGRAM_TRY(stored.assign(parts_.slots.stored()));
  ENGRAM_TRY(save_slots(writer, kStoredSection, stored));
  ENGRAM_TRY(write_keys(writer, items));
  if (!tuning_.empty()) {
    ENGRAM_TRY(writer.begin(kTuningSection));
    ENGRAM_TRY(writer.append(as_span(tuning_)));
  }
  return parts_.store.save(writer, stored);
}

Status CollectionSave::write_keys(SectionWriter& writer, const SlotSet& items) const {
  constexpr std::size_t kPieceBytes = std::size_t{1} << 18;
  ENGRAM_TRY(writer.begin(kKeysSection));
  std::string piece;
  Status status;
  const auto flush = [&] {
    if (status) status = writer.append(std::as_bytes(std::span(piece)));
    piece.clear();
  };
  items.for_each(0, Slot{kMaxSlots}, [&](Slot slot) {
    put_number(piece, slot);
    put_string(piece, parts_.slots.entries()[slot]->key);
    if (piece.size() >= kPieceBytes) flush();
  });
  flush();
  return status;
}

}  // namespace engram
