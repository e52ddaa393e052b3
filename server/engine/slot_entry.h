// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <string_view>

#include "core/growing_array.h"
#include "core/slot.h"

namespace engram {

/// The key of a slot. Created before the slot enters the index and freed after its grace period, so
/// a worker can name every slot that it meets. Immutable. There is one per item: the key lies
/// behind it, in the same memory.
class SlotEntry {
 public:
  /// key: shorter than 4 GiB. Whoever calls it owns the entry, and destroys it.
  static SlotEntry* create(std::string_view key, Slot slot) {
    void* const memory = ::operator new(sizeof(SlotEntry) + key.size());
    return new (memory) SlotEntry(key, slot);
  }
  /// entry: may be null.
  static void destroy(SlotEntry* entry) noexcept { ::operator delete(entry); }

  SlotEntry(const SlotEntry&) = delete;
  SlotEntry& operator=(const SlotEntry&) = delete;

  [[nodiscard]] std::string_view key() const noexcept {
    return {reinterpret_cast<const char*>(this + 1), key_bytes_};
  }
  [[nodiscard]] Slot slot() const noexcept { return slot_; }

 private:
  SlotEntry(std::string_view key, Slot slot) noexcept
      : slot_(slot), key_bytes_(static_cast<std::uint32_t>(key.size())) {
    if (!key.empty()) std::memcpy(static_cast<void*>(this + 1), key.data(), key.size());
  }
  ~SlotEntry() = default;

  const Slot slot_;
  const std::uint32_t key_bytes_;
};

/// By slot; null where nothing lies.
using SlotEntries = GrowingArray<SlotEntry*>;

}  // namespace engram
