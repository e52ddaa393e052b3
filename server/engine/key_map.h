// SPDX-License-Identifier: Apache-2.0
// The keys of a collection. The rule: a key leads to the slot of the last write that was committed;
// what is staged, or was replaced, is not here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "server/engine/key_table.h"
#include "server/engine/slot_entry.h"

namespace engram {

/// Borrows the entries. Threads: the event loop's only.
class KeyMap {
 public:
  explicit KeyMap(std::uint64_t hash_seed) : table_(hash_seed) {}

  /// Null if there is no such key.
  [[nodiscard]] const SlotEntry* find(std::string_view key) const { return table_.find(key); }

  /// Makes `entry` the one of its key; returns the former one, or null.
  const SlotEntry* replace(SlotEntry& entry) {
    const SlotEntry* const former = table_.replace(&entry);
    if (former == nullptr) key_bytes_ += entry.key.size();
    return former;
  }

  /// Removes `key`, which is there.
  void remove(std::string_view key) {
    table_.take(key);
    key_bytes_ -= key.size();
  }

  /// Fills an empty map. Of entries with one key the last stays; `dropped(entry)` gets the others.
  template <class Dropped>
  void fill(std::vector<SlotEntry*> entries, Dropped&& dropped) {
    for (const SlotEntry* const entry : entries) key_bytes_ += entry->key.size();
    table_.fill(std::move(entries), [&](const SlotEntry* former) {
      key_bytes_ -= former->key.size();
      dropped(*former);
    });
  }

  [[nodiscard]] std::size_t size() const noexcept { return table_.size(); }

  /// The mean length of a key in bytes, 0 if there is none.
  [[nodiscard]] std::size_t mean_key_bytes() const noexcept {
    return size() == 0 ? 0 : key_bytes_ / size();
  }

  /// Bytes of the table and of the keys.
  [[nodiscard]] std::size_t memory_bytes() const noexcept {
    return table_.memory_bytes() + key_bytes_;
  }

 private:
  KeyTable<SlotEntry*, 8> table_;
  std::size_t key_bytes_ = 0;
};

}  // namespace engram
