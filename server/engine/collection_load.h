// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/index.h"
#include "core/result.h"
#include "core/sections.h"
#include "server/engine/attributes.h"
#include "server/engine/key_map.h"
#include "server/engine/slot_reclaimer.h"
#include "server/engine/slot_table.h"
#include "server/engine/strengths.h"
#include "server/engine/tuner.h"

namespace engram {

/// The empty parts of a new collection, to be filled.
struct LoadTarget {
  const Traits& traits;
  Index& index;
  KeyMap& keys;
  SlotTable& slots;
  SlotReclaimer& reclaimer;
  Tuner& tuner;
  Strengths* strengths;  // null: none are kept
  Attributes& attributes;
};

/// Fills a collection with what CollectionSave wrote; see Collection::load(). The rule: the bytes
/// are foreign, and whatever they hold, the parts end in a state that can be destroyed.
Status load_collection(SectionReader& reader, const LoadTarget& target);

}  // namespace engram
