// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "core/growing_array.h"
#include "core/slot.h"

namespace engram {

/// The key of a slot. Created before the slot enters the index and freed after its grace period, so
/// a worker can name every slot that it meets. Immutable.
struct SlotEntry {
  std::string key;
  Slot slot;
};

/// By slot; null where nothing lies.
using SlotEntries = GrowingArray<SlotEntry*>;

}  // namespace engram
