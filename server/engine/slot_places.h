// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/slot.h"

namespace engram {

/// A hash table of slots by 32 bits of what they are called, their *tag*: a shard of KeyMap. It
/// holds tag and slot, 8 bytes, and is up to 7/8 full, so that an item takes 9 to 12 bytes.
///
/// Open addressing with linear probing, in order [Amble & Knuth 1974]: a tag's home is its share of
/// the table, and tags lie in ascending order, each at its home or, where that is taken, behind it.
/// A search ends at the first tag that is larger. Growing copies from front to back, and needs no
/// key. Behind the last home lie some places more, for nothing wraps around.
///
/// Functions take `matches(slot)`, which tells of slots with the same tag whether it is the one.
/// Not thread-safe.
class SlotPlaces {
 public:
  /// The slot that matches, or kNoSlot.
  template <class Matches>
  [[nodiscard]] Slot find(std::uint32_t tag, Matches&& matches) const {
    if (count_ == 0) return kNoSlot;
    const std::size_t i = position(tag, matches);
    return places_[i] >> kSlotBits == tag ? slot_of(places_[i]) : kNoSlot;
  }

  /// Puts `slot` in the place of the one that matches and returns that, or kNoSlot: then it has a
  /// place of its own.
  template <class Matches>
  Slot replace(std::uint32_t tag, Slot slot, Matches&& matches) {
    if (count_ + 1 > most()) grow(homes_ + std::max<std::size_t>(homes_ / 4, kFewestHomes));
    const std::size_t i = position(tag, matches);
    const Place former = places_[i];
    if (former >> kSlotBits == tag && former != kFree) {
      places_[i] = place_of(tag, slot);
      return slot_of(former);
    }
    insert(i, place_of(tag, slot));
    return kNoSlot;
  }

  /// Removes the slot that matches and returns it, or kNoSlot.
  template <class Matches>
  Slot take(std::uint32_t tag, Matches&& matches) {
    if (count_ == 0) return kNoSlot;
    const std::size_t i = position(tag, matches);
    const Place place = places_[i];
    if (place >> kSlotBits != tag) return kNoSlot;
    if (place != kFree) remove(i);
    return slot_of(place);
  }

  /// Makes room for `count` at once, in a table that has less.
  void reserve(std::size_t count) {
    if (count > most()) grow(count + count / 7 + 1);
  }

  [[nodiscard]] std::size_t size() const noexcept { return count_; }
  [[nodiscard]] std::size_t memory_bytes() const noexcept {
    return places_.capacity() * sizeof(Place);
  }

  /// Visits every slot, in order of tags.
  template <class Visit>
  void for_each(Visit&& visit) const {
    for (const Place place : places_) {
      if (place != kFree) visit(slot_of(place));
    }
  }

 private:
  using Place = std::uint64_t;  // the tag above the slot
  static constexpr int kSlotBits = 32;
  static constexpr Place kFree = ~Place{0};  // of kNoSlot; larger than every other
  static constexpr std::size_t kFewestHomes = 4;

  static constexpr Place place_of(std::uint32_t tag, Slot slot) noexcept {
    return Place{tag} << kSlotBits | slot;
  }
  static constexpr Slot slot_of(Place place) noexcept { return static_cast<Slot>(place); }
  static constexpr std::uint32_t tag_of(Place place) noexcept {
    return static_cast<std::uint32_t>(place >> kSlotBits);
  }

  [[nodiscard]] std::size_t home_of(std::uint32_t tag) const noexcept {
    return static_cast<std::size_t>(std::uint64_t{tag} * homes_ >> 32);
  }
  [[nodiscard]] std::size_t most() const noexcept { return homes_ - homes_ / 8; }

  /// Where what matches lies, or else where it would be inserted. The last place is always free.
  template <class Matches>
  [[nodiscard]] std::size_t position(std::uint32_t tag, Matches&& matches) const {
    std::size_t i = home_of(tag);
    const Place first = place_of(tag, 0);
    while (places_[i] < first) ++i;
    while (tag_of(places_[i]) == tag && places_[i] != kFree && !matches(slot_of(places_[i]))) ++i;
    return i;
  }

  void insert(std::size_t i, Place place);
  void remove(std::size_t i) noexcept;
  void grow(std::size_t homes);

  std::vector<Place> places_;
  std::uint32_t homes_ = 0;
  std::uint32_t count_ = 0;
};

}  // namespace engram
