// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string_view>
#include <utility>
#include <vector>

#include <tsl/robin_set.h>

#include "core/assert.h"
#include "server/engine/key_hash.h"

namespace engram {

/// Finds entries by their key: the table of the keyspace.
///
/// An entry has a member `key` that converts to std::string_view and does not change while the
/// entry is in the table. Pointer is `Entry*` for entries that are owned elsewhere, or a
/// unique_ptr.
///
/// A key's 64-bit hash (SipHash, seeded, so that keys cannot be chosen to collide) picks one of
/// many small tables by its top bits, so growing rehashes one at a time and no growth stalls the
/// event loop. The first entries share one table. The top 48 bits are the key's *position*, which
/// growth does not change: scan() walks them in ascending order. Not thread-safe.
template <class Pointer, int kShardBits>
class KeyTable {
 public:
  using Entry = std::remove_reference_t<decltype(*std::declval<Pointer>())>;

  static constexpr int kPositionBits = 48;  // a client may hold a cursor in a double
  static constexpr std::size_t kShards = std::size_t{1} << kShardBits;
  /// Of the table for one entry, when it is full.
  static constexpr std::size_t kBytesOfPlace = 3 * sizeof(std::uint64_t);

  explicit KeyTable(std::uint64_t seed) : seed_(seed), shards_(1) {}

  /// The entry of `key`, or null.
  Entry* find(std::string_view key) const {
    const Probe probe = make_probe(key);
    const Shard& shard = shards_[shard_of(probe.hash)];
    const auto position = shard.find(probe, probe.hash);
    return position == shard.end() ? nullptr : &*position->entry;
  }

  /// Makes `entry` the entry of its key and returns the former one, or null.
  Pointer replace(Pointer entry) {
    const Probe probe = make_probe(entry->key);
    Pointer former = put(shards_[shard_of(probe.hash)], probe, std::move(entry));
    if (former == nullptr && ++size_ > kLargestAlone && shard_bits_ == 0) split();
    return former;
  }

  /// Removes and returns the entry of `key`, or null.
  Pointer take(std::string_view key) {
    const Probe probe = make_probe(key);
    Shard& shard = shards_[shard_of(probe.hash)];
    const auto position = shard.find(probe, probe.hash);
    if (position == shard.end()) return nullptr;
    Pointer entry = std::move(position->entry);
    shard.erase(position);
    --size_;
    return entry;
  }

  std::size_t size() const noexcept { return size_; }

  /// Visits every entry, in no particular order.
  template <class Visit>
  void for_each(Visit&& visit) const {
    for (const Shard& shard : shards_) {
      for (const Item& item : shard) visit(*item.entry);
    }
  }

  /// Visits every entry once, from the one of that rank (< size()) on in the table's own order,
  /// which has no meaning, until `visit` returns true.
  template <class Visit>
  void visit_from(std::size_t rank, Visit&& visit) const;

  /// Visits the entries at positions >= cursor in ascending order, at least `count` of them (>= 1)
  /// unless the end comes first, and all of equal position together. Returns the cursor for the
  /// next page, 0 at the end. An entry present from the first page to the last is visited exactly
  /// once, whatever else is added or removed.
  template <class Visit>
  std::uint64_t scan(std::uint64_t cursor, std::size_t count, Visit&& visit) const;

  /// Bytes of the table itself, without the entries.
  std::size_t memory_bytes() const noexcept {
    std::size_t buckets = 0;
    for (const Shard& shard : shards_) buckets += shard.bucket_count();
    return shards_.size() * sizeof(Shard) + buckets * (sizeof(Item) + sizeof(std::uint64_t));
  }

 private:
  /// The hash lies beside the pointer, so that probing, rehashing and scanning stay in the table.
  struct Item {
    std::uint64_t hash;
    mutable Pointer entry;  // moved out when the item is taken
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
    bool operator()(const Item& a, const Item& b) const noexcept {
      return a.hash == b.hash && a.entry->key == b.entry->key;
    }
    bool operator()(const Probe& a, const Item& b) const noexcept {
      return a.hash == b.hash && a.key == std::string_view(b.entry->key);
    }
    bool operator()(const Item& a, const Probe& b) const noexcept { return (*this)(b, a); }
  };
  using Shard = tsl::robin_set<Item, Hash, Equal>;

  /// Makes `entry` the one of its key in `shard` and returns the former one, or null.
  static Pointer put(Shard& shard, const Probe& probe, Pointer entry) {
    const auto position = shard.find(probe, probe.hash);
    if (position != shard.end()) return std::exchange(position->entry, std::move(entry));
    shard.insert(Item{probe.hash, std::move(entry)});
    return nullptr;
  }

  Probe make_probe(std::string_view key) const noexcept { return {sip_hash(seed_, key), key}; }
  std::size_t shard_of(std::uint64_t hash) const noexcept {
    return shard_bits_ == 0 ? 0 : hash >> (64 - kShardBits);
  }
  static std::uint64_t position_of(std::uint64_t hash) noexcept {
    return hash >> (64 - kPositionBits);
  }

  /// So many entries are moved in some tens of microseconds.
  static constexpr std::size_t kLargestAlone = 1024;

  void split();

  std::uint64_t seed_;
  int shard_bits_ = 0;  // or kShardBits
  std::vector<Shard> shards_;
  std::size_t size_ = 0;
};

/// Distributes the entries of the one shard.
template <class Pointer, int kShardBits>
void KeyTable<Pointer, kShardBits>::split() {
  const std::vector<Shard> former = std::exchange(shards_, std::vector<Shard>(kShards));
  shard_bits_ = kShardBits;
  for (const Item& item : former.front()) {
    shards_[shard_of(item.hash)].insert(Item{item.hash, std::move(item.entry)});
  }
}

template <class Pointer, int kShardBits>
template <class Visit>
void KeyTable<Pointer, kShardBits>::visit_from(std::size_t rank, Visit&& visit) const {
  ENGRAM_ASSERT(rank < size_);
  std::size_t shard = 0;
  while (rank >= shards_[shard].size()) rank -= shards_[shard++].size();
  auto item = std::next(shards_[shard].begin(), static_cast<std::ptrdiff_t>(rank));
  for (std::size_t left = size_; left > 0; --left) {
    while (item == shards_[shard].end()) {
      shard = (shard + 1) % shards_.size();
      item = shards_[shard].begin();
    }
    if (visit(*item->entry)) return;
    ++item;
  }
}

template <class Pointer, int kShardBits>
template <class Visit>
std::uint64_t KeyTable<Pointer, kShardBits>::scan(std::uint64_t cursor, std::size_t count,
                                                  Visit&& visit) const {
  constexpr std::uint64_t kEnd = std::uint64_t{1} << kPositionBits;
  const int position_bits_in_shard = kPositionBits - shard_bits_;
  ENGRAM_ASSERT(count >= 1);
  std::size_t visited = 0;
  std::vector<std::pair<std::uint64_t, Entry*>> page;
  while (cursor < kEnd && visited < count) {
    const std::uint64_t shard = cursor >> position_bits_in_shard;
    page.clear();
    for (const Item& item : shards_[static_cast<std::size_t>(shard)]) {
      const std::uint64_t position = position_of(item.hash);
      if (position >= cursor) page.emplace_back(position, &*item.entry);
    }
    cursor = (shard + 1) << position_bits_in_shard;
    if (const std::size_t wanted = count - visited; page.size() > wanted) {
      // Entries of one position stay together, because a cursor cannot point between them.
      const auto last = page.begin() + static_cast<std::ptrdiff_t>(wanted) - 1;
      std::nth_element(page.begin(), last, page.end());
      cursor = last->first + 1;
      std::erase_if(page, [cursor](const auto& item) { return item.first >= cursor; });
    }
    std::sort(page.begin(), page.end());
    for (const auto& [position, entry] : page) visit(*entry);
    visited += page.size();
  }
  return cursor < kEnd ? cursor : 0;
}

}  // namespace engram
