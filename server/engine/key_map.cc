// SPDX-License-Identifier: Apache-2.0
#include "server/engine/key_map.h"

#include <utility>

#include "core/assert.h"

namespace engram {

/// Distributes the slots of the one shard.
void KeyMap::split() {
  const std::vector<SlotPlaces> former =
      std::exchange(shards_, std::vector<SlotPlaces>(std::size_t{1} << kShardBits));
  former.front().for_each([this](Slot slot) {
    const std::string_view key = entries_[slot]->key();
    const Hash hash = hash_of(key);
    shards_[hash.shard].replace(hash.tag, slot, HasKey{entries_, key});
  });
}

std::vector<Slot> KeyMap::fill(std::span<const Slot> slots) {
  ENGRAM_ASSERT(size_ == 0);
  if (slots.size() > kLargestAlone) split();
  // A counting sort by shard; slots keep their order within one.
  std::vector<Hash> hashes;
  hashes.reserve(slots.size());
  std::vector<std::size_t> ends(shards_.size() + 1);
  for (const Slot slot : slots) {
    const std::string_view key = entries_[slot]->key();
    key_bytes_ += key.size();
    hashes.push_back(hash_of(key));
    ++ends[hashes.back().shard + 1];
  }
  for (std::size_t shard = 0; shard < shards_.size(); ++shard) ends[shard + 1] += ends[shard];
  struct Item {
    std::uint32_t tag;
    Slot slot;
  };
  std::vector<Item> items(slots.size());
  for (std::size_t i = 0; i < slots.size(); ++i) {
    items[ends[hashes[i].shard]++] = {hashes[i].tag, slots[i]};
  }
  std::vector<Slot> dropped;
  std::size_t begin = 0;
  for (std::size_t shard = 0; shard < shards_.size(); ++shard) {
    SlotPlaces& places = shards_[shard];
    places.reserve(ends[shard] - begin);
    for (; begin < ends[shard]; ++begin) {
      const Item item = items[begin];
      // Keys lie anywhere in memory: none is looked at before two have the same tag.
      const auto has_its_key = [this, item](Slot slot) {
        return entries_[slot]->key() == entries_[item.slot]->key();
      };
      const Slot former = places.replace(item.tag, item.slot, has_its_key);
      if (former == kNoSlot) continue;
      key_bytes_ -= entries_[former]->key().size();
      dropped.push_back(former);
    }
  }
  size_ = slots.size() - dropped.size();
  return dropped;
}

std::size_t KeyMap::memory_bytes() const noexcept {
  std::size_t bytes = shards_.size() * sizeof(SlotPlaces) + key_bytes_;
  for (const SlotPlaces& places : shards_) bytes += places.memory_bytes();
  return bytes;
}

}  // namespace engram
