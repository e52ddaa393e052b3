// SPDX-License-Identifier: Apache-2.0
// Which items a search may answer: a condition that clients set, asked while the index is searched.
#pragma once

#include <cstddef>
#include <span>

#include "core/slot.h"
#include "core/slot_set.h"

namespace engram {

/// A condition on items. Any thread.
class ItemFilter {
 public:
  virtual ~ItemFilter() = default;

  /// Whether an item meets it. The slot is or was held. What an item is known by may change
  /// meanwhile; the answer was true at some moment of the search.
  [[nodiscard]] virtual bool accepts(Slot slot) const noexcept = 0;

  /// accepted[i] = accepts(slots[i]). Both [n], any n.
  virtual void select(std::span<const Slot> slots, std::span<bool> accepted) const noexcept {
    for (std::size_t i = 0; i < slots.size(); ++i) accepted[i] = accepts(slots[i]);
  }
};

/// The members of a set, which outlives it.
class SlotSetFilter final : public ItemFilter {
 public:
  explicit SlotSetFilter(const SlotSet& slots) noexcept : slots_(slots) {}

  [[nodiscard]] bool accepts(Slot slot) const noexcept override { return slots_.contains(slot); }

 private:
  const SlotSet& slots_;
};

}  // namespace engram
