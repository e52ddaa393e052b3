// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "core/slot.h"

namespace engram {

/// The slots that lately took the place of others, for searches that run meanwhile. A walk that has
/// passed a slot before its insert and comes to the one that it replaces after that one's erase
/// meets neither; here it finds what it has missed. Thread-safe.
class ReplacementLog {
 public:
  using Position = std::uint64_t;

  Position position() const noexcept { return next_.load(); }

  /// To be called when `slot` is in the index and the one that it replaces still is, too.
  void add(Slot slot) {
    const std::lock_guard lock(mutex_);
    const Position position = next_.load();
    if (slots_ == nullptr) slots_ = std::make_unique<std::array<Slot, kKept>>();
    (*slots_)[position % kKept] = slot;
    next_.store(position + 1);
  }

  /// Appends what was added since `begin`; false, and nothing, if some of it has been forgotten.
  bool since(Position begin, std::vector<Slot>& slots) const {
    const std::lock_guard lock(mutex_);
    const Position end = next_.load();
    if (end - begin > kKept) return false;
    for (Position position = begin; position < end; ++position) {
      slots.push_back((*slots_)[position % kKept]);
    }
    return true;
  }

 private:
  static constexpr std::size_t kKept = 1024;

  mutable std::mutex mutex_;  // held for a few stores, or for the copy of what is recent
  std::unique_ptr<std::array<Slot, kKept>> slots_;  // made by the first replacement
  std::atomic<Position> next_{0};
};

}  // namespace engram
