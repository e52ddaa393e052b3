// SPDX-License-Identifier: Apache-2.0
// Which items a search may answer: a condition that clients set, asked while the index is searched.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
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

  /// How long a scan takes to ask about an item, as a multiple of half a nanosecond: what comparing
  /// a number that is kept by slot takes, 64 at a time. Plans go by it.
  [[nodiscard]] virtual double weight() const noexcept { return 1; }

  /// Which of the 64 slots from `first` on, a multiple of 64, it accepts: bit i is that of slot
  /// first + i, and only those of `asked` are looked at. What scans ask.
  [[nodiscard]] virtual std::uint64_t select_word(Slot first, std::uint64_t asked) const noexcept {
    std::array<Slot, 64> slots;
    std::array<bool, 64> accepted;
    std::size_t count = 0;
    for (std::uint64_t bits = asked; bits != 0; bits &= bits - 1) {
      slots[count++] = first + static_cast<Slot>(std::countr_zero(bits));
    }
    select({slots.data(), count}, {accepted.data(), count});
    std::uint64_t chosen = 0;
    for (std::size_t i = 0; i < count; ++i) {
      chosen |= std::uint64_t{accepted[i]} << (slots[i] - first);
    }
    return chosen;
  }
};

/// The members of a set, which outlives it.
class SlotSetFilter final : public ItemFilter {
 public:
  explicit SlotSetFilter(const SlotSet& slots) noexcept : slots_(slots) {}

  [[nodiscard]] bool accepts(Slot slot) const noexcept override { return slots_.contains(slot); }

  [[nodiscard]] std::uint64_t select_word(Slot first, std::uint64_t asked) const noexcept override {
    return slots_.word(first) & asked;
  }
  [[nodiscard]] double weight() const noexcept override { return 0.0625; }

 private:
  const SlotSet& slots_;
};

}  // namespace engram
