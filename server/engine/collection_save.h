// SPDX-License-Identifier: Apache-2.0
// A collection as sections, written while it changes. The rule: from begin() to end() nothing is
// reclaimed and no row is given up, so what is committed at the beginning can be read at leisure,
// and nothing but links is copied. What happens meanwhile is in the journal.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "core/index.h"
#include "core/result.h"
#include "core/sections.h"
#include "server/engine/attributes.h"
#include "server/engine/operations.h"
#include "server/engine/slot_reclaimer.h"
#include "server/engine/slot_table.h"
#include "server/engine/strengths.h"
#include "server/engine/tuner.h"

namespace engram {

/// Threads: the event loop's only, except write().
class CollectionSave {
 public:
  /// What it saves; all of it outlives this.
  struct Parts {
    const Traits& traits;
    const VectorStore& store;
    const Index& index;
    SlotTable& slots;
    SlotReclaimer& reclaimer;
    Operations& operations;
    const Tuner& tuner;
    const Strengths* strengths;  // null: none are kept
    const Attributes& attributes;
  };

  explicit CollectionSave(const Parts& parts) : parts_(parts) {}

  /// See Collection::begin_save(), save() and end_save().
  void begin(std::function<void()> ready);
  Status write(SectionWriter& writer) const;
  void end();

 private:
  Status write_keys(SectionWriter& writer, const SlotSet& items) const;
  Status write_strengths(SectionWriter& writer, const SlotSet& items) const;
  Status write_attributes(SectionWriter& writer, const SlotSet& items) const;

  const Parts parts_;
  GracePeriod::Ticket pin_ = 0;
  std::string tuning_;        // as of begin(); empty: none
  std::int64_t last_ms_ = 0;  // of strengths, as of begin()
};

}  // namespace engram
