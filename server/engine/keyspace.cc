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

std::optional<std::string> Keyspace::find_name(const Collection& collection,
                                               std::string_view likely) {
  const auto is_its = [&](std::string_view name) {
    const Value* const value = peek(name);
    const auto* const held =
        value == nullptr ? nullptr : std::get_if<std::shared_ptr<Collection>>(value);
    return held != nullptr && held->get() == &collection;
  };
  if (is_its(likely)) return std::string(likely);
  const auto names = collection_names_;  // a look may remove what has expired
  const auto found = std::find_if(names.begin(), names.end(), is_its);
  return found == names.end() ? std::nullopt : std::optional<std::string>(*found);
}

const Value* Keyspace::find(std::string_view key) {
  Entry* const entry = live_entry(key);
  if (entry == nullptr) {
    ++stats_.misses;
    return nullptr;
  }
  ++stats_.hits;
  if (touching_) entry->touched_seconds = now_seconds_;
  return &entry->value;
}

const Value* Keyspace::look(std::string_view key) {
  const Value* const value = peek(key);
  ++(value == nullptr ? stats_.misses : stats_.hits);
  return value;
}

bool Keyspace::touch(std::string_view key) {
  Entry* const entry = live_entry(key);
  if (entry != nullptr) entry->touched_seconds = now_seconds_;
  return entry != nullptr;
}

std::optional<KeyFacts> Keyspace::describe(std::string_view key) {
  const Entry* const entry = live_entry(key);
  if (entry == nullptr) return std::nullopt;
  constexpr std::size_t kInPlace = 15;  // of a std::string
  const auto heap = [](const std::string& text) {
    return text.capacity() > kInPlace ? text.capacity() + 1 : 0;
  };
  std::size_t bytes = sizeof(Entry) + heap(entry->key) + Table::kBytesOfPlace;
  if (const auto* const text = std::get_if<std::string>(&entry->value)) bytes += heap(*text);
  // The wall clock may have been set back.
  const std::int64_t idle = std::int64_t{now_seconds_} - entry->touched_seconds;
  return KeyFacts{entry->value, entry->form, std::max<std::int64_t>(idle, 0), bytes};
}

std::optional<std::string_view> Keyspace::random_key(std::uint64_t random) const {
  std::optional<std::string_view> found;
  if (table_.size() == 0) return found;
  table_.visit_from(random % table_.size(), [&](const Entry& entry) {
    if (expired(entry)) return false;
    found = entry.key;
    return true;
  });
  return found;
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
  entry.touched_seconds = now_seconds_;
  auto* const text = std::get_if<std::string>(&value);
  auto* const former_text = std::get_if<std::string>(&entry.value);
  if (text != nullptr && former_text != nullptr) {
    // An assignment is quicker, but would keep a large buffer for a short string.
    constexpr std::size_t kMostWaste = 64;
    if (former_text->capacity() <= text->size() + kMostWaste) {
      *former_text = std::move(*text);
    } else {
      former_text->swap(*text);
    }
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
  take_out(entry);
}

void Keyspace::take_out(Entry& entry) {
  set_deadline(entry, kNever);
  set_value(entry, {});
  table_.take(entry.key);
}

std::optional<Value> Keyspace::take_back(std::string_view key) {
  Entry* const entry = live_entry(key);
  if (entry == nullptr) return std::nullopt;
  Value value = std::exchange(entry->value, std::string());
  collection_names_.erase(entry->key);
  take_out(*entry);
  return value;
}

void Keyspace::remember(const Value& value) {
  const auto* const collection = std::get_if<std::shared_ptr<Collection>>(&value);
  if (collection == nullptr) return;
  if (collections_.size() >= most_collections_) {
    std::erase_if(collections_, [](const auto& held) { return held.expired(); });
    most_collections_ = std::max(most_collections_, 2 * collections_.size());
  }
  collections_.push_back(*collection);
}

std::vector<std::shared_ptr<Collection>> Keyspace::all_collections() const {
  std::vector<std::shared_ptr<Collection>> all;
  for (const auto& held : collections_) {
    if (auto collection = held.lock()) all.push_back(std::move(collection));
  }
  return all;
}

void Keyspace::set(std::string_view key, Value&& value, bool keep_ttl, StringForm form) {
  remember(value);
  Entry* entry = live_entry(key);
  if (entry == nullptr) {
    entry = &add(key, std::move(value));
  } else {
    set_value(*entry, std::move(value));
    if (!keep_ttl) set_deadline(*entry, kNever);
  }
  entry->form = form;
  record_value(*entry);
}

/// The string at `key`, which is about to be changed in its place. `new_form`: of one that is not
/// there yet.
std::string& Keyspace::change_text(std::string_view key, StringForm new_form) {
  Entry* entry = live_entry(key);
  const bool is_new = entry == nullptr;
  if (is_new) entry = &add(key, std::string());
  auto* const text = std::get_if<std::string>(&entry->value);
  ENGRAM_ASSERT(text != nullptr);
  entry->form = is_new ? new_form : StringForm::kChanged;
  entry->touched_seconds = now_seconds_;
  return *text;
}

std::size_t Keyspace::append(std::string_view key, std::string_view suffix) {
  std::string& text = change_text(key, StringForm::kGiven);
  count_change(key);
  if (sink_ != nullptr) sink_->record(AppendString{key, text.size(), suffix});
  return text.append(suffix).size();
}

void Keyspace::put_suffix(std::string_view key, std::size_t offset, std::string_view suffix) {
  std::string& text = change_text(key, StringForm::kGiven);
  if (sink_ != nullptr) sink_->record(AppendString{key, offset, suffix});
  text.resize(std::min(offset, text.size()));
  text.append(suffix);
}

/// What goes beyond the string's end is recorded as the end that it makes: replay trusts no length.
std::size_t Keyspace::write_range(std::string_view key, std::size_t offset,
                                  std::string_view bytes) {
  std::string& text = change_text(key, StringForm::kChanged);
  count_change(key);
  const std::size_t former = text.size();
  if (offset + bytes.size() > former) text.resize(offset + bytes.size());
  text.replace(offset, bytes.size(), bytes);
  if (sink_ == nullptr) return text.size();
  if (text.size() == former) {
    sink_->record(OverwriteString{key, offset, bytes});
  } else {
    const std::size_t from = std::min(offset, former);
    sink_->record(AppendString{key, from, std::string_view(text).substr(from)});
  }
  return text.size();
}

/// A collection is moved, not made anew: what is recorded of its content goes by its id.
void Keyspace::rename(std::string_view from, std::string_view to) {
  Entry& source = *live_entry(from);
  const std::int64_t expires_ms = source.expires_ms;
  const StringForm form = source.form;
  auto* const text = std::get_if<std::string>(&source.value);
  const auto* const shared = std::get_if<std::shared_ptr<Collection>>(&source.value);
  Value value = shared == nullptr ? Value(std::move(*text)) : Value(*shared);
  Entry* renamed = live_entry(to);
  if (renamed == nullptr) {
    renamed = &add(to, std::move(value));
  } else {
    set_value(*renamed, std::move(value));
  }
  Entry& target = *renamed;
  target.form = form;
  set_deadline(target, expires_ms);
  if (shared == nullptr) {
    record_value(target);
    return remove(source);
  }
  count_change(from);
  count_change(to);
  if (sink_ != nullptr) sink_->record(MoveCollection{to, expires_ms, (*shared)->id()});
  take_out(source);
}

bool Keyspace::has_room_to_record(std::size_t bytes) const noexcept {
  constexpr std::size_t kMostBytes = (std::size_t{2} << 30) - (std::size_t{1} << 20);
  return sink_ == nullptr || sink_->recorded_bytes() + bytes <= kMostBytes;
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
