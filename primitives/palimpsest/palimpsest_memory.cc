// SPDX-License-Identifier: Apache-2.0
#include "primitives/palimpsest/palimpsest_memory.h"

#include <algorithm>
#include <string_view>

#include "core/slot_set_io.h"

namespace engram::palimpsest {
namespace {

constexpr std::string_view kOrderSection = "palimpsest.order";

}  // namespace

std::size_t Memory::memory_bytes() const noexcept {
  return sizeof(*this) + held_.memory_bytes() + places_.ready_bytes() + synapses_.memory_bytes();
}

Status Memory::insert(Slot slot) {
  ENGRAM_TRY(held_.ensure(std::size_t{slot} + 1));
  ENGRAM_TRY(places_.ensure(std::size_t{slot} + 1));
  held_.add(slot);
  places_[slot] = ++last_place_;
  if (is_current_) synapses_.learn(reinterpret_cast<const float*>(context_.store.row(slot)));
  return {};
}

/// Its place is known until its slot is used again, for save().
void Memory::erase(Slot slot) {
  held_.erase(slot);
  is_current_ = false;
}

Result<Memory::Couplings> Memory::couplings(const SlotSet* items) const {
  if (items != nullptr && !are_held(*items)) {
    auto own = Synapses::create(context_.store.dim(), synapses_.bound());
    if (!own) return tl::unexpected(std::move(own.error()));
    own->learn_anew(context_.store, in_order(*items));
    Couplings couplings{own->values()};
    couplings.own = std::move(*own);  // what it has stays where it is
    return couplings;
  }
  if (!is_current_) {
    const std::lock_guard lock(learns_);
    if (!is_current_) synapses_.learn_anew(context_.store, in_order(held_));
    is_current_ = true;
  }
  return Couplings{synapses_.values()};
}

bool Memory::are_held(const SlotSet& items) const {
  bool same = items.size() == held_.size();
  if (same) items.for_each_not_in(held_, [&](Slot) { same = false; });
  return same;
}

std::vector<Slot> Memory::in_order(const SlotSet& items) const {
  std::vector<Slot> slots;
  items.list(slots);
  std::sort(slots.begin(), slots.end(), [&](Slot a, Slot b) { return places_[a] < places_[b]; });
  return slots;
}

Status Memory::save(SectionWriter& writer, const SlotSet& items) const {
  const std::vector<Slot> order = in_order(items);
  ENGRAM_TRY(writer.begin(kOrderSection));
  return writer.append(std::as_bytes(std::span(order)));
}

Status Memory::load(SectionReader& reader, const SlotSet& items) {
  const Slot slot_end = context_.store.slot_end();
  ENGRAM_TRY(hold_items(items, slot_end, held_));
  ENGRAM_TRY(places_.ensure(slot_end));
  const auto section = reader.section(kOrderSection);
  if (!section) return tl::unexpected(section.error());
  if (section->size() % sizeof(Slot) != 0) {
    return fail(ErrorCode::kDataLoss, "the order of the items is damaged");
  }
  const std::span order(reinterpret_cast<const Slot*>(section->data()),
                        section->size() / sizeof(Slot));
  std::size_t found = 0;
  for (const Slot slot : order) {
    if (slot >= slot_end || places_[slot] != 0) {
      return fail(ErrorCode::kDataLoss, "the order of the items is damaged");
    }
    places_[slot] = ++last_place_;
    found += held_.contains(slot) ? 1 : 0;
  }
  if (found != held_.size()) {
    return fail(ErrorCode::kDataLoss, "the order of the items lacks some");
  }
  is_current_ = false;
  return {};
}

}  // namespace engram::palimpsest
