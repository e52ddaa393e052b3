// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "core/result.h"
#include "core/sections.h"
#include "core/slot.h"
#include "core/slot_set.h"

namespace engram {

/// Writes `set` as the section `name`: one bit per slot, lowest first, in little-endian 64-bit
/// words up to the last member.
Status save_slots(SectionWriter& writer, std::string_view name, const SlotSet& set);

/// Adds to `set` the members that the section `name` lists. Errors: kDataLoss when it is missing,
/// no whole number of words, or lists a slot that is not below `slot_end`.
Status load_slots(SectionReader& reader, std::string_view name, Slot slot_end, SlotSet& set);

/// Makes `held` the `items` that an index is to hold after Index::load. Errors: kDataLoss when one
/// of them is not below `slot_end`, the store's; kResourceExhausted.
Status hold_items(const SlotSet& items, Slot slot_end, SlotSet& held);

}  // namespace engram
