// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/assert.h"
#include "core/growing_array.h"
#include "core/slot.h"

namespace engram {

/// A set of slots, one bit each: an index's own record of which slots it holds. Any number of
/// threads may insert, erase and ask at once. A thread that sees a slot in the set also sees what
/// was written before the slot was inserted.
class SlotSet {
 public:
  /// Makes this set the same as `other`, which may be changed meanwhile: each of its slots is taken
  /// as it was at some moment of the call. Nobody else may use this one meanwhile.
  /// Errors: kResourceExhausted.
  Status assign(const SlotSet& other) {
    return assign(other, [](Slot /*first*/, std::uint64_t bits) { return bits; });
  }

  /// The same of those that keep(first, bits) keeps: of the slots first + i for each bit i of
  /// `bits`, it returns those to take.
  template <class Keep>
  Status assign(const SlotSet& other, Keep&& keep) {
    const std::size_t words = other.words_.ready();
    ENGRAM_TRY(words_.ensure(words));
    std::size_t size = 0;
    for (std::size_t i = 0; i < words_.ready(); ++i) {
      auto bits = i < words ? other.words_[i].load(std::memory_order_acquire) : 0;
      if (bits != 0) bits = keep(static_cast<Slot>(i * kBits), bits);
      words_[i].store(bits, std::memory_order_release);
      size += static_cast<std::size_t>(std::popcount(bits));
    }
    size_.store(size, std::memory_order_relaxed);
    return {};
  }

  /// Makes room for slots below `slot_end`: their insert() cannot fail then. Errors:
  /// kResourceExhausted.
  Status ensure(std::size_t slot_end) {
    if (slot_end > kMaxSlots) {
      return fail(ErrorCode::kResourceExhausted, "there are no more than 268,435,456 slots");
    }
    return words_.ensure((slot_end + kBits - 1) / kBits);
  }

  /// Adds `slot`; true if it was not there. Errors: kResourceExhausted.
  Result<bool> insert(Slot slot) {
    ENGRAM_TRY(ensure(std::size_t{slot} + 1));
    const bool added =
        (words_[slot / kBits].fetch_or(bit(slot), std::memory_order_acq_rel) & bit(slot)) == 0;
    if (added) size_.fetch_add(1, std::memory_order_relaxed);
    return added;
  }

  /// insert() of a slot that ensure() has made room for.
  void add(Slot slot) noexcept {
    const auto added = insert(slot);
    ENGRAM_ASSERT(added.has_value());
  }

  /// Removes `slot`; true if it was there.
  bool erase(Slot slot) noexcept {
    if (slot / kBits >= words_.ready()) return false;
    const bool removed =
        (words_[slot / kBits].fetch_and(~bit(slot), std::memory_order_acq_rel) & bit(slot)) != 0;
    if (removed) size_.fetch_sub(1, std::memory_order_relaxed);
    return removed;
  }

  bool contains(Slot slot) const noexcept {
    if (slot / kBits >= words_.ready()) return false;
    return (words_[slot / kBits].load(std::memory_order_acquire) & bit(slot)) != 0;
  }

  /// Bit i: whether first + i is a member. first: a multiple of 64.
  std::uint64_t word(Slot first) const noexcept {
    if (first / kBits >= words_.ready()) return 0;
    return words_[first / kBits].load(std::memory_order_acquire);
  }

  std::size_t size() const noexcept { return size_.load(std::memory_order_relaxed); }

  /// One past the highest member, 0 if there is none.
  Slot end() const noexcept {
    for (std::size_t i = words_.ready(); i-- > 0;) {
      const auto bits = words_[i].load(std::memory_order_acquire);
      if (bits != 0) return static_cast<Slot>(i * kBits + std::bit_width(bits));
    }
    return 0;
  }

  /// Calls visit(slot) for the members in [begin, end), in ascending order.
  template <class Visit>
  void for_each(Slot begin, Slot end, Visit&& visit) const {
    const std::size_t covered = words_.ready() * kBits;
    const std::size_t stop = end < covered ? end : covered;
    for (std::size_t slot = begin; slot < stop;) {
      const std::size_t word = slot / kBits;
      std::uint64_t bits = words_[word].load(std::memory_order_acquire) >> (slot % kBits);
      for (; bits != 0; bits &= bits - 1) {
        const std::size_t member = slot + static_cast<std::size_t>(std::countr_zero(bits));
        if (member >= stop) return;
        visit(static_cast<Slot>(member));
      }
      slot = (word + 1) * kBits;
    }
  }

  /// Calls visit(first, bits) for each run of 64 slots from `first` on, in ascending order, that
  /// has members in [begin, end): bit i is that of slot first + i.
  template <class Visit>
  void for_each_word(Slot begin, Slot end, Visit&& visit) const {
    const std::size_t covered = words_.ready() * kBits;
    const std::size_t stop = end < covered ? end : covered;
    for (std::size_t first = begin / kBits * kBits; first < stop; first += kBits) {
      std::uint64_t bits = words_[first / kBits].load(std::memory_order_acquire);
      if (first < begin) bits &= ~std::uint64_t{0} << (begin - first);
      if (stop - first < kBits) bits &= (std::uint64_t{1} << (stop - first)) - 1;
      if (bits != 0) visit(static_cast<Slot>(first), bits);
    }
  }

  /// Fills `slots` with the members, ascending.
  void list(std::vector<Slot>& slots) const {
    slots.clear();
    for_each(0, Slot{kMaxSlots}, [&](Slot slot) { slots.push_back(slot); });
  }

  /// Calls visit(slot) for the members that `other` has not, in ascending order.
  template <class Visit>
  void for_each_not_in(const SlotSet& other, Visit&& visit) const {
    const std::size_t others = other.words_.ready();
    for (std::size_t word = 0; word < words_.ready(); ++word) {
      std::uint64_t bits = words_[word].load(std::memory_order_acquire);
      if (word < others) bits &= ~other.words_[word].load(std::memory_order_acquire);
      for (; bits != 0; bits &= bits - 1) {
        visit(static_cast<Slot>(word * kBits + static_cast<std::size_t>(std::countr_zero(bits))));
      }
    }
  }

  /// Calls visit(first, count) for the maximal runs of consecutive members in [begin, end), in
  /// ascending order.
  template <class Visit>
  void for_each_run(Slot begin, Slot end, Visit&& visit) const {
    Slot first = 0;
    std::size_t count = 0;
    for_each(begin, end, [&](Slot slot) {
      if (count > 0 && slot == first + count) {
        ++count;
        return;
      }
      if (count > 0) visit(first, count);
      first = slot;
      count = 1;
    });
    if (count > 0) visit(first, count);
  }

  std::size_t memory_bytes() const noexcept { return words_.ready_bytes(); }

 private:
  static constexpr std::size_t kBits = 64;

  static constexpr std::uint64_t bit(Slot slot) noexcept {
    return std::uint64_t{1} << (slot % kBits);
  }

  GrowingArray<std::atomic<std::uint64_t>> words_;
  std::atomic<std::size_t> size_{0};
};

}  // namespace engram
