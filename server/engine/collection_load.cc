// SPDX-License-Identifier: Apache-2.0
#include "server/engine/collection_load.h"

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/slot_set_io.h"
#include "server/durability/little_endian.h"
#include "server/durability/trace_fields.h"
#include "server/engine/collection_sections.h"

namespace engram {
namespace {

tl::unexpected<Error> damaged_section(std::string message) {
  return fail(ErrorCode::kDataLoss, std::move(message));
}

/// Fills `listed` with the slots that have keys, in their order.
Status load_keys(SectionReader& reader, const SlotSet& stored, const LoadTarget& target,
                 std::vector<Slot>& listed) {
  const auto section = reader.section(kKeysSection);
  if (!section) return tl::unexpected(section.error());
  FieldReader fields(as_text(*section));
  listed.reserve(stored.size());
  while (!fields.rest().empty()) {
    const Slot slot = fields.number<Slot>();
    const std::string_view key = fields.string();
    if (!fields.ok()) return damaged_section("the section of keys ends in the middle of a key");
    if (!stored.contains(slot) || !target.slots.load_key(slot, key)) {
      return damaged_section("slot " + std::to_string(slot) +
                             " has a key, and no row or a key already");
    }
    listed.push_back(slot);
  }
  // Overwritten while it was saved, a key was found at both places; the journal has the last word.
  for (const Slot former : target.keys.fill(listed)) target.slots.make_former(former);
  return {};
}

/// Of the slots that have keys, in their order.
Status load_strengths(SectionReader& reader, std::span<const Slot> listed,
                      const LoadTarget& target) {
  const auto section = reader.section(kStrengthsSection);
  if (!section) return tl::unexpected(section.error());
  FieldReader fields(as_text(*section));
  const auto last_ms = fields.number<std::int64_t>();
  if (last_ms < 0 || last_ms > kMaxDecayMs) {
    return damaged_section("the section of strengths begins with no time");
  }
  Strengths& strengths = *target.strengths;
  strengths.pass_time(last_ms);
  ENGRAM_TRY(strengths.ensure(target.slots.end()));
  for (const Slot slot : listed) {
    const Trace trace = read_trace(fields);
    if (!fields.ok() || !check_trace(strengths.decay(), trace)) {
      return damaged_section("slot " + std::to_string(slot) + " has no strength that there is");
    }
    if (!target.slots.is_current(slot)) continue;
    if (trace.kind != TraceKind::kLevel) ENGRAM_TRY(strengths.allow_rules());
    strengths.set(slot, trace);
  }
  if (fields.ok() && fields.rest().empty()) return {};
  return damaged_section("the section of strengths is not one of " + std::to_string(listed.size()) +
                         " items");
}

/// Of the slots that have keys, in their order; absent if no key ever had any.
Status load_attributes(SectionReader& reader, std::span<const Slot> listed,
                       const LoadTarget& target) {
  if (!reader.size(kAttributesSection)) return target.attributes.ensure(target.slots.end());
  const auto section = reader.section(kAttributesSection);
  if (!section) return tl::unexpected(section.error());
  FieldReader fields(as_text(*section));
  ENGRAM_TRY(target.attributes.ensure(target.slots.end()));
  ENGRAM_TRY(target.attributes.allow());
  for (const Slot slot : listed) {
    const std::string_view text = fields.string();
    if (!fields.ok()) break;
    if (text.size() > kMostAttributeBytes) {
      return damaged_section("slot " + std::to_string(slot) + " has attributes of " +
                             std::to_string(text.size()) + " bytes");
    }
    if (target.slots.is_current(slot)) target.attributes.change(slot, text);
  }
  if (fields.ok() && fields.rest().empty()) return {};
  return damaged_section("the section of attributes is not one of " +
                         std::to_string(listed.size()) + " items");
}

/// A collection that was never tuned has no such section, nor has one of an older engram.
Status load_tuning(SectionReader& reader, Tuner& tuner) {
  if (!reader.size(kTuningSection)) return {};
  const auto section = reader.section(kTuningSection);
  if (!section) return tl::unexpected(section.error());
  return tuner.load(as_text(*section));
}

}  // namespace

Status load_collection(SectionReader& reader, const LoadTarget& target) {
  SlotSet stored;
  ENGRAM_TRY(load_slots(reader, kStoredSection, Slot{kMaxSlots}, stored));
  ENGRAM_TRY(target.slots.load(reader, stored));
  std::vector<Slot> listed;
  ENGRAM_TRY(load_keys(reader, stored, target, listed));
  if (target.strengths != nullptr) ENGRAM_TRY(load_strengths(reader, listed, target));
  ENGRAM_TRY(load_attributes(reader, listed, target));
  if (target.traits.saves_structure) {
    ENGRAM_TRY(target.index.load(reader, target.slots.current()));
  }
  ENGRAM_TRY(load_tuning(reader, target.tuner));
  // Erased before the snapshot, or not committed yet: let go of like any other.
  stored.for_each(0, target.slots.end(), [&](Slot slot) {
    if (!target.slots.is_current(slot)) target.reclaimer.take_loaded(slot);
  });
  return {};
}

}  // namespace engram
