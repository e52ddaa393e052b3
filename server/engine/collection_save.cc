// SPDX-License-Identifier: Apache-2.0
#include "server/engine/collection_save.h"

#include <span>
#include <string>
#include <utility>

#include "core/slot_set_io.h"
#include "server/durability/little_endian.h"
#include "server/durability/trace_fields.h"
#include "server/engine/collection_sections.h"

namespace engram {
namespace {

/// What is appended to a section at once, or a little more.
constexpr std::size_t kPieceBytes = std::size_t{1} << 18;

}  // namespace

void CollectionSave::begin(std::function<void()> ready) {
  parts_.reclaimer.pause([this, owner = parts_.operations.owner(), ready = std::move(ready)] {
    pin_ = parts_.slots.pin_rows();
    tuning_ = parts_.tuner.encoded();
    if (parts_.strengths != nullptr) last_ms_ = parts_.strengths->last_ms();
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
  if (parts_.strengths != nullptr) ENGRAM_TRY(write_strengths(writer, items));
  if (parts_.attributes.are_allowed()) ENGRAM_TRY(write_attributes(writer, items));
  if (!tuning_.empty()) {
    ENGRAM_TRY(writer.begin(kTuningSection));
    ENGRAM_TRY(writer.append(as_span(tuning_)));
  }
  return parts_.store.save(writer, stored);
}

/// Touches go on meanwhile; what they make of a strength is in the journal.
Status CollectionSave::write_strengths(SectionWriter& writer, const SlotSet& items) const {
  ENGRAM_TRY(writer.begin(kStrengthsSection));
  std::string piece;
  put_number(piece, last_ms_);
  Status status;
  const auto flush = [&] {
    if (status) status = writer.append(as_span(piece));
    piece.clear();
  };
  items.for_each(0, Slot{kMaxSlots}, [&](Slot slot) {
    put_trace(piece, parts_.strengths->trace(slot));
    if (piece.size() >= kPieceBytes) flush();
  });
  flush();
  return status;
}

/// As above. The pins keep the texts that are replaced.
Status CollectionSave::write_attributes(SectionWriter& writer, const SlotSet& items) const {
  ENGRAM_TRY(writer.begin(kAttributesSection));
  std::string piece;
  Status status;
  const auto flush = [&] {
    if (status) status = writer.append(as_span(piece));
    piece.clear();
  };
  items.for_each(0, Slot{kMaxSlots}, [&](Slot slot) {
    put_string(piece, parts_.attributes.text(slot));
    if (piece.size() >= kPieceBytes) flush();
  });
  flush();
  return status;
}

Status CollectionSave::write_keys(SectionWriter& writer, const SlotSet& items) const {
  ENGRAM_TRY(writer.begin(kKeysSection));
  std::string piece;
  Status status;
  const auto flush = [&] {
    if (status) status = writer.append(std::as_bytes(std::span(piece)));
    piece.clear();
  };
  items.for_each(0, Slot{kMaxSlots}, [&](Slot slot) {
    put_number(piece, slot);
    put_string(piece, parts_.slots.entries()[slot]->key());
    if (piece.size() >= kPieceBytes) flush();
  });
  flush();
  return status;
}

}  // namespace engram
