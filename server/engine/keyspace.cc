// SPDX-License-Identifier: Apache-2.0
#include "server/engine/keyspace.h"

#include <xxhash.h>

#include <algorithm>

#include "core/assert.h"

namespace engram {
namespace {

constexpr int kShardBits = 10;
static_assert(Keyspace::kShards == std::size_t{1} << kShardBits);

constexpr std::uint64_t position_of(std::uint64_t hash) {
  return hash >> (64 - Keyspace::kPositionBits);
}

constexpr std::size_t shard_of_position(std::uint64_t position) {
  return static_cast<std::size_t>(position >> (Keyspace::kPositionBits - kShardBits));
}

}  // namespace

std::string_view type_name(const Value& value) noexcept {
  return std::holds_alternative<std::string>(value) ? "string" : "vectorset";
}

Keyspace::Keyspace(std::uint64_t seed, Reaper reaper)
    : seed_(seed), reaper_(std::move(reaper)), shards_(kShards) {}

Keyspace::~Keyspace() = default;

Keyspace::Probe Keyspace::probe(std::string_view key) const noexcept {
  return {XXH3_64bits_withSeed(key.data(), key.size(), seed_), key};
}

Keyspace::Shard& Keyspace::shard_of(std::uint64_t hash) noexcept {
  return shards_[hash >> (64 - kShardBits)];
}

bool Keyspace::expired(const Entry& entry) const noexcept {
  return entry.expires_ms != kNever && entry.expires_ms <= now_ms_;
}

Keyspace::Entry* Keyspace::live_entry(const Probe& probe) {
  Shard& shard = shard_of(probe.hash);
  const auto position = shard.find(probe, probe.hash);
  if (position == shard.end()) return nullptr;
  if (!expired(*position->entry)) return position->entry.get();
  remove(shard, position);
  ++stats_.expired;
  return nullptr;
}

const Value* Keyspace::peek(std::string_view key) {
  const Entry* const entry = live_entry(probe(key));
  return entry == nullptr ? nullptr : &entry->value;
}

const Value* Keyspace::find(std::string_view key) {
  const Value* const value = peek(key);
  ++(value == nullptr ? stats_.misses : stats_.hits);
  return value;
}

std::optional<std::int64_t> Keyspace::expires_at(std::string_view key) {
  const Entry* const entry = live_entry(probe(key));
  if (entry == nullptr || entry->expires_ms == kNever) return std::nullopt;
  return entry->expires_ms;
}

std::optional<std::int64_t> Keyspace::next_expiry() const {
  if (deadlines_.empty()) return std::nullopt;
  return deadlines_.begin()->first;
}

std::uint64_t Keyspace::scan(std::uint64_t cursor, std::size_t count, const Visitor& visit) {
  constexpr std::uint64_t kEnd = std::uint64_t{1} << kPositionBits;
  ENGRAM_ASSERT(count >= 1);
  std::size_t visited = 0;
  std::vector<std::pair<std::uint64_t, const Entry*>> page;
  while (cursor < kEnd) {
    const std::size_t number = shard_of_position(cursor);
    page.clear();
    for (const Slot& slot : shards_[number]) {
      if (position_of(slot.hash) >= cursor)
        page.emplace_back(position_of(slot.hash), slot.entry.get());
    }
    const auto wanted =
        page.begin() + static_cast<std::ptrdiff_t>(std::min(page.size(), count - visited));
    std::partial_sort(page.begin(), wanted, page.end());
    std::size_t taken = static_cast<std::size_t>(wanted - page.begin());
    // Keys of one position stay together, because the cursor cannot point between them.
    const std::uint64_t last = taken == 0 ? 0 : page[taken - 1].first;
    const auto rest =
        std::partition(wanted, page.end(), [last](const auto& item) { return item.first == last; });
    if (taken != 0) taken = static_cast<std::size_t>(rest - page.begin());
    for (std::size_t i = 0; i < taken; ++i) {
      if (!expired(*page[i].second)) visit(page[i].second->key, page[i].second->value);
    }
    visited += taken;
    if (taken < page.size()) return last + 1;
    cursor = (static_cast<std::uint64_t>(number) + 1) << (kPositionBits - kShardBits);
    if (visited >= count) break;
  }
  return cursor < kEnd ? cursor : 0;
}

void Keyspace::for_each(const Visitor& visit) const {
  for (const Shard& shard : shards_) {
    for (const Slot& slot : shard) {
      if (!expired(*slot.entry)) visit(slot.entry->key, slot.entry->value);
    }
  }
}

Keyspace::Entry& Keyspace::insert(const Probe& probe, Value value) {
  auto entry = std::make_unique<Entry>(Entry{std::string(probe.key), std::move(value)});
  Entry& inserted = *entry;
  shard_of(probe.hash).insert(Slot{probe.hash, std::move(entry)});
  ++size_;
  return inserted;
}

void Keyspace::set_deadline(Entry& entry, std::int64_t expires_ms) {
  if (entry.expires_ms != kNever) deadlines_.erase({entry.expires_ms, &entry});
  entry.expires_ms = expires_ms;
  if (expires_ms != kNever) deadlines_.emplace(expires_ms, &entry);
}

void Keyspace::remove(Shard& shard, Shard::const_iterator position) {
  set_deadline(*position->entry, kNever);
  dispose(std::move(position->entry->value));
  shard.erase(position);
  --size_;
}

/// Freeing a large collection takes long; a string is freed here.
void Keyspace::dispose(Value value) {
  if (auto* collection = std::get_if<std::shared_ptr<Collection>>(&value)) {
    reaper_(std::move(*collection));
  }
}

void Keyspace::set(std::string_view key, Value value, bool keep_ttl) {
  const Probe wanted = probe(key);
  Entry* const entry = live_entry(wanted);
  if (entry == nullptr) {
    insert(wanted, std::move(value));
    return;
  }
  dispose(std::exchange(entry->value, std::move(value)));
  if (!keep_ttl) set_deadline(*entry, kNever);
}

std::size_t Keyspace::append(std::string_view key, std::string_view suffix) {
  const Probe wanted = probe(key);
  Entry* entry = live_entry(wanted);
  if (entry == nullptr) entry = &insert(wanted, std::string());
  auto* const text = std::get_if<std::string>(&entry->value);
  ENGRAM_ASSERT(text != nullptr);
  return text->append(suffix).size();
}

bool Keyspace::erase(std::string_view key) {
  const Probe wanted = probe(key);
  if (live_entry(wanted) == nullptr) return false;
  Shard& shard = shard_of(wanted.hash);
  remove(shard, shard.find(wanted, wanted.hash));
  return true;
}

bool Keyspace::expire_at(std::string_view key, std::int64_t unix_ms) {
  Entry* const entry = live_entry(probe(key));
  if (entry == nullptr) return false;
  if (unix_ms <= now_ms_) return erase(key);
  set_deadline(*entry, unix_ms);
  return true;
}

bool Keyspace::persist(std::string_view key) {
  Entry* const entry = live_entry(probe(key));
  if (entry == nullptr || entry->expires_ms == kNever) return false;
  set_deadline(*entry, kNever);
  return true;
}

std::size_t Keyspace::expire_due(std::size_t limit) {
  std::size_t erased = 0;
  while (erased < limit && !deadlines_.empty() && deadlines_.begin()->first <= now_ms_) {
    const Probe due = probe(deadlines_.begin()->second->key);
    Shard& shard = shard_of(due.hash);
    remove(shard, shard.find(due, due.hash));
    ++erased;
  }
  stats_.expired += erased;
  return erased;
}

void Keyspace::clear() {
  struct Cleared {
    std::vector<Shard> shards;
    Deadlines deadlines;
  };
  auto cleared = std::make_shared<Cleared>(Cleared{std::move(shards_), std::move(deadlines_)});
  shards_ = std::vector<Shard>(kShards);
  deadlines_.clear();
  size_ = 0;
  reaper_(std::move(cleared));
}

}  // namespace engram
