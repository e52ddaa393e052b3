// SPDX-License-Identifier: Apache-2.0
// The keys of a collection. The rule: a key leads to the slot of the last write that was committed;
// what is staged, or was replaced, is not here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "server/engine/slot_entry.h"
#include "server/engine/slot_places.h"
#include "server/runtime/sip_hash.h"

namespace engram {

/// Finds slots by key. A key's 64-bit hash (SipHash, seeded, so that keys cannot be chosen to
/// collide) picks one of many small tables by its top bits, so growing moves one at a time and no
/// growth stalls the event loop. The first keys share one table.
///
/// Borrows the entries: one that is here stays where it is. Threads: the event loop's only.
class KeyMap {
 public:
  /// `entries` outlives this.
  KeyMap(std::uint64_t hash_seed, const SlotEntries& entries)
      : seed_(hash_seed), entries_(entries), shards_(1) {}

  /// Null if there is no such key.
  [[nodiscard]] const SlotEntry* find(std::string_view key) const {
    const Hash hash = hash_of(key);
    return entry_of(shards_[hash.shard].find(hash.tag, HasKey{entries_, key}));
  }

  /// Makes `entry` the one of its key; returns the former one, or null.
  const SlotEntry* replace(const SlotEntry& entry) {
    const Hash hash = hash_of(entry.key());
    const Slot former =
        shards_[hash.shard].replace(hash.tag, entry.slot(), HasKey{entries_, entry.key()});
    if (former != kNoSlot) return entry_of(former);
    key_bytes_ += entry.key().size();
    if (++size_ > kLargestAlone && shards_.size() == 1) split();
    return nullptr;
  }

  /// Removes `key`, which is there.
  void remove(std::string_view key) {
    const Hash hash = hash_of(key);
    shards_[hash.shard].take(hash.tag, HasKey{entries_, key});
    key_bytes_ -= key.size();
    --size_;
  }

  /// Fills an empty map, shard by shard: several times as fast as one after the other. Of slots
  /// with one key the last stays; returns the others.
  std::vector<Slot> fill(std::span<const Slot> slots);

  [[nodiscard]] std::size_t size() const noexcept { return size_; }

  /// The mean length of a key in bytes, 0 if there is none.
  [[nodiscard]] std::size_t mean_key_bytes() const noexcept {
    return size() == 0 ? 0 : key_bytes_ / size();
  }

  /// Bytes of the tables and of the keys.
  [[nodiscard]] std::size_t memory_bytes() const noexcept;

 private:
  static constexpr int kShardBits = 8;
  /// So many are moved in some tens of microseconds.
  static constexpr std::size_t kLargestAlone = 1024;

  /// Whether a slot is the one of a key.
  struct HasKey {
    const SlotEntries& entries;
    std::string_view key;
    bool operator()(Slot slot) const noexcept { return entries[slot]->key() == key; }
  };
  struct Hash {
    std::uint32_t shard;
    std::uint32_t tag;
  };

  [[nodiscard]] Hash hash_of(std::string_view key) const noexcept {
    const std::uint64_t hash = sip_hash(seed_, key);
    return {
        .shard = shards_.size() == 1 ? 0 : static_cast<std::uint32_t>(hash >> (64 - kShardBits)),
        .tag = static_cast<std::uint32_t>(hash >> (32 - kShardBits))};
  }
  [[nodiscard]] const SlotEntry* entry_of(Slot slot) const noexcept {
    return slot == kNoSlot ? nullptr : entries_[slot];
  }

  void split();

  const std::uint64_t seed_;
  const SlotEntries& entries_;
  std::vector<SlotPlaces> shards_;
  std::size_t size_ = 0;
  std::size_t key_bytes_ = 0;
};

}  // namespace engram
