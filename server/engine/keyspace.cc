// SPDX-License-Identifier: Apache-2.0
#include "server/engine/keyspace.h"

#include "core/assert.h"
#include "server/engine/collection.h"

namespace engram {

std::string_view type_name(const Value& value) noexcept {
  return std::holds_alternative<std::string>(value) ? "string" : "vectorset";
}

Keyspace::Keyspace(std::uint64_t seed, Reaper reaper)
    : seed_(seed), reaper_(std::move(reaper)), table_(seed) {}

Keyspace::~Keyspace() = default;

bool Keyspace::expired(const Entry& entry) const noexcept {
  return entry.expires_ms != kNever && entry.expires_ms <= now_ms_;
}

Keyspace::Entry* Keyspace::live_entry(std::string_view key) {
  Entry* const entry = table_.find(key);
  if (entry == nullptr || !expired(*entry)) return entry;
  remove(*entry);
  ++stats_.expired;
  return nullptr;
}

const Value* Keyspace::peek(std::string_view key) {
  const Entry* const entry = live_entry(key);
  return entry == nullptr ? nullptr : &entry->value;
}

const Value* Keyspace::find(std::string_view key) {
  const Value* const value = peek(key);
  ++(value == nullptr ? stats_.misses : stats_.hits);
  return value;
}

std::optional<std::int64_t> Keyspace::expires_at(std::string_view key) {
  const Entry* const entry = live_entry(key);
  if (entry == nullptr || entry->expires_ms == kNever) return std::nullopt;
  return entry->expires_ms;
}

std::optional<std::int64_t> Keyspace::next_expiry() const {
  if (deadlines_.empty()) return std::nullopt;
  return deadlines_.begin()->first;
}

std::uint64_t Keyspace::scan(std::uint64_t cursor, std::size_t count, const Visitor& visit) {
  return table_.scan(cursor, count, [&](const Entry& entry) {
    if (!expired(entry)) visit(entry.key, entry.value);
  });
}

void Keyspace::for_each(const Visitor& visit) const {
  table_.for_each([&](const Entry& entry) {
    if (!expired(entry)) visit(entry.key, entry.value);
  });
}

std::uint64_t Keyspace::watch(std::string_view key) {
  Watch& watch = watches_[std::string(key)];
  ++watch.watchers;
  return watch.changes;
}

void Keyspace::unwatch(std::string_view key) {
  const auto watch = watches_.find(key);
  if (--watch->second.watchers == 0) watches_.erase(watch);
}

std::uint64_t Keyspace::changes_of(std::string_view key) const {
  return watches_.find(key)->second.changes;
}

void Keyspace::count_change(std::string_view key) {
  if (watches_.empty()) return;
  if (const auto watch = watches_.find(key); watch != watches_.end()) ++watch->second.changes;
}

Keyspace::Entry& Keyspace::add(std::string_view key, Value&& value) {
  auto entry = std::make_unique<Entry>(Entry{std::string(key), {}});
  Entry& added = *entry;
  table_.replace(std::move(entry));
  set_value(added, std::move(value));
  return added;
}

/// Freeing a large collection takes long and is the reaper's; a string is freed here.
void Keyspace::set_value(Entry& entry, Value&& value) {
  auto* const text = std::get_if<std::string>(&value);
  auto* const former_text = std::get_if<std::string>(&entry.value);
  if (text != nullptr && former_text != nullptr) {
    *former_text = std::move(*text);
    return;
  }
  Value former = std::exchange(entry.value, std::move(value));
  if (std::holds_alternative<std::shared_ptr<Collection>>(entry.value)) {
    collection_names_.insert(entry.key);
  } else {
    collection_names_.erase(entry.key);
  }
  if (auto* const collection = std::get_if<std::shared_ptr<Collection>>(&former)) {
    reaper_(std::move(*collection));
  }
}

void Keyspace::set_deadline(Entry& entry, std::int64_t expires_ms) {
  if (entry.expires_ms != kNever) deadlines_.erase({entry.expires_ms, &entry});
  entry.expires_ms = expires_ms;
  if (expires_ms != kNever) deadlines_.emplace(expires_ms, &entry);
}

/// Tells of what a key holds since set().
void Keyspace::record_value(const Entry& entry) {
  count_change(entry.key);
  if (sink_ == nullptr) return;
  if (const auto* const text = std::get_if<std::string>(&entry.value)) {
    sink_->record(SetString{entry.key, entry.expires_ms, *text});
  } else {
    const Collection& collection = *std::get<std::shared_ptr<Collection>>(entry.value);
    record_creation(*sink_, entry.key, entry.expires_ms, collection);
  }
}

void Keyspace::remove(Entry& entry) {
  count_change(entry.key);
  if (sink_ != nullptr) sink_->record(EraseKey{entry.key});
  set_deadline(entry, kNever);
  set_value(entry, {});
  table_.take(entry.key);
}

void Keyspace::set(std::string_view key, Value&& value, bool keep_ttl) {
  Entry* entry = live_entry(key);
  if (entry == nullptr) {
    entry = &add(key, std::move(value));
  } else {
    set_value(*entry, std::move(value));
    if (!keep_ttl) set_deadline(*entry, kNever);
  }
  record_value(*entry);
}

std::string& Keyspace::text_at(std::string_view key) {
  Entry* entry = live_entry(key);
  if (entry == nullptr) entry = &add(key, std::string());
  auto* const text = std::get_if<std::string>(&entry->value);
  ENGRAM_ASSERT(text != nullptr);
  return *text;
}

std::size_t Keyspace::append(std::string_view key, std::string_view suffix) {
  std::string& text = text_at(key);
  count_change(key);
  if (sink_ != nullptr) sink_->record(AppendString{key, text.size(), suffix});
  return text.append(suffix).size();
}

void Keyspace::put_suffix(std::string_view key, std::size_t offset, std::string_view suffix) {
  std::string& text = text_at(key);
  if (sink_ != nullptr) sink_->record(AppendString{key, offset, suffix});
  text.resize(std::min(offset, text.size()));
  text.append(suffix);
}

bool Keyspace::erase(std::string_view key) {
  Entry* const entry = live_entry(key);
  if (entry == nullptr) return false;
  remove(*entry);
  return true;
}

bool Keyspace::expire_at(std::string_view key, std::int64_t unix_ms) {
  Entry* const entry = live_entry(key);
  if (entry == nullptr) return false;
  if (unix_ms <= now_ms_) return erase(key);
  set_deadline(*entry, unix_ms);
  count_change(key);
  if (sink_ != nullptr) sink_->record(SetExpiry{key, unix_ms});
  return true;
}

bool Keyspace::persist(std::string_view key) {
  Entry* const entry = live_entry(key);
  if (entry == nullptr || entry->expires_ms == kNever) return false;
  set_deadline(*entry, kNever);
  count_change(key);
  if (sink_ != nullptr) sink_->record(SetExpiry{key, kNever});
  return true;
}

std::size_t Keyspace::expire_due(std::size_t limit) {
  std::size_t erased = 0;
  while (erased < limit && !deadlines_.empty() && deadlines_.begin()->first <= now_ms_) {
    remove(*deadlines_.begin()->second);
    ++erased;
  }
  stats_.expired += erased;
  return erased;
}

void Keyspace::clear() {
  for (auto& [key, watch] : watches_) {
    if (table_.find(key) != nullptr) ++watch.changes;
  }
  if (sink_ != nullptr) sink_->record(ClearKeys{});
  struct Cleared {
    Table table;
    Deadlines deadlines;
  };
  collection_names_.clear();  // before the keys that it refers to go
  reaper_(std::make_shared<Cleared>(
      Cleared{std::exchange(table_, Table(seed_)), std::exchange(deadlines_, {})}));
}

}  // namespace engram
