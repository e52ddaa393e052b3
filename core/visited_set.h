// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/prefetch.h"
#include "core/slot.h"

namespace engram {

/// Which slots a traversal has met. Starting over costs one increment, not a wipe: a slot counts as
/// visited if its mark equals the current version. Owned by one thread, inside its Scratch.
class VisitedSet {
 public:
  /// Forgets everything and makes room for slots below `slot_end`.
  void start(std::size_t slot_end) {
    if (slot_end > marks_.size()) {
      marks_.resize(std::max(slot_end, marks_.size() + marks_.size() / 2), 0);
    }
    if (++version_ == 0) {  // wrapped: old marks would look current
      std::fill(marks_.begin(), marks_.end(), Mark{0});
      version_ = 1;
    }
  }

  /// Marks `slot`; true if it was not marked. A slot beyond start()'s range, which a concurrent
  /// insert has just linked, counts as visited: this traversal began before it existed.
  bool insert(Slot slot) noexcept;

  class Marks;

  /// For loops of the traversal that start() began. Valid until the next start().
  Marks marks() noexcept;

 private:
  using Mark = std::uint8_t;

  std::vector<Mark> marks_;
  Mark version_ = 0;
};

/// The marks of one traversal. A loop keeps them in registers: of the set's members the compiler
/// thinks that any store to a mark, or load of an atomic, may change them.
class VisitedSet::Marks {
 public:
  Marks(Mark* marks, std::size_t end, Mark version) : marks_(marks), end_(end), version_(version) {}

  /// One past the highest slot that there is a mark of.
  std::size_t end() const noexcept { return end_; }

  /// VisitedSet::insert() of a slot below end().
  bool insert(Slot slot) const noexcept {
    // Marked in any case: a walk meets old and new in no order that a branch could foresee.
    const bool is_new = marks_[slot] != version_;
    marks_[slot] = version_;
    return is_new;
  }

  /// Whether a slot below end() is marked.
  bool contains(Slot slot) const noexcept { return marks_[slot] == version_; }

  /// Asks for the mark of a slot below end() to be fetched into cache.
  void prefetch(Slot slot) const noexcept { engram::prefetch(marks_ + slot); }

 private:
  Mark* marks_;
  std::size_t end_;
  Mark version_;
};

inline bool VisitedSet::insert(Slot slot) noexcept {
  return slot < marks_.size() && marks().insert(slot);
}

inline VisitedSet::Marks VisitedSet::marks() noexcept {
  return Marks(marks_.data(), marks_.size(), version_);
}

}  // namespace engram
