// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <xxhash.h>

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include <tsl/robin_set.h>

namespace engram {

/// Finds entries by their key. The table is many small ones, chosen by the key's hash, so that
/// growth rehashes one at a time and never stalls the event loop. It borrows the entries.
///
/// Entry has a member `key` that converts to std::string_view and stays the same while the entry is
/// in the table. The hash is seeded, so that keys cannot be chosen to collide. Not thread-safe.
template <class Entry>
class KeyTable {
 public:
  explicit KeyTable(std::uint64_t seed) : seed_(seed), shards_(kShards) {}

  /// The entry of `key`, or null.
  Entry* find(std::string_view key) const {
    const Probe probe = make_probe(key);
    const Shard& shard = shards_[shard_of(probe.hash)];
    const auto position = shard.find(probe, probe.hash);
    return position == shard.end() ? nullptr : position->entry;
  }

  /// Makes `entry` the entry of its key and returns the former one, or null.
  Entry* replace(Entry& entry) {
    Entry* const former = take(entry.key);
    const std::uint64_t hash = make_probe(entry.key).hash;
    shards_[shard_of(hash)].insert(Item{hash, &entry});
    ++size_;
    return former;
  }

  /// Removes and returns the entry of `key`, or null.
  Entry* take(std::string_view key) {
    const Probe probe = make_probe(key);
    Shard& shard = shards_[shard_of(probe.hash)];
    const auto position = shard.find(probe, probe.hash);
    if (position == shard.end()) return nullptr;
    Entry* const entry = position->entry;
    shard.erase(position);
    --size_;
    return entry;
  }

  std::size_t size() const noexcept { return size_; }

  /// Bytes of the table itself, without the entries.
  std::size_t memory_bytes() const noexcept {
    // robin_set keeps an item with its probe distance and half of its buckets free on average.
    return shards_.capacity() * sizeof(Shard) + size_ * 2 * (sizeof(Item) + sizeof(std::uint64_t));
  }

 private:
  static constexpr int kShardBits = 8;
  static constexpr std::size_t kShards = std::size_t{1} << kShardBits;

  struct Item {
    std::uint64_t hash;
    Entry* entry;
  };
  struct Probe {
    std::uint64_t hash;
    std::string_view key;
  };
  struct Hash {
    std::size_t operator()(const Item& item) const noexcept { return item.hash; }
    std::size_t operator()(const Probe& probe) const noexcept { return probe.hash; }
  };
  struct Equal {
    using is_transparent = void;
    bool operator()(const Item& a, const Item& b) const noexcept { return a.entry == b.entry; }
    bool operator()(const Probe& a, const Item& b) const noexcept {
      return a.hash == b.hash && a.key == std::string_view(b.entry->key);
    }
    bool operator()(const Item& a, const Probe& b) const noexcept { return (*this)(b, a); }
  };
  using Shard = tsl::robin_set<Item, Hash, Equal>;

  Probe make_probe(std::string_view key) const noexcept {
    return {XXH3_64bits_withSeed(key.data(), key.size(), seed_), key};
  }
  static std::size_t shard_of(std::uint64_t hash) noexcept { return hash >> (64 - kShardBits); }

  const std::uint64_t seed_;
  std::vector<Shard> shards_;
  std::size_t size_ = 0;
};

}  // namespace engram
