// SPDX-License-Identifier: Apache-2.0
#include "server/session/watched_keys.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "server/engine/collection.h"

namespace engram {

void WatchedKeys::add(std::string_view key) {
  if (watched_.contains(key)) return;
  const Value* const value = keyspace_.peek(key);  // one that has expired is gone before it counts
  Watched watched{keyspace_.watch(key), {}, 0};
  if (value != nullptr) {
    if (const auto* const collection = std::get_if<std::shared_ptr<Collection>>(value)) {
      watched.collection = *collection;
      watched.version = (*collection)->version();
    }
  }
  watched_.emplace(key, std::move(watched));
}

void WatchedKeys::clear() {
  for (const auto& [key, watched] : watched_) keyspace_.unwatch(key);
  watched_.clear();
}

bool WatchedKeys::any_changed() {
  return std::any_of(watched_.begin(), watched_.end(),
                     [this](const auto& entry) { return has_changed(entry.first, entry.second); });
}

bool WatchedKeys::any_collection() const {
  return std::any_of(watched_.begin(), watched_.end(),
                     [](const auto& entry) { return !entry.second.collection.expired(); });
}

bool WatchedKeys::has_changed(const std::string& key, const Watched& watched) {
  keyspace_.peek(key);  // to have expired is to have changed
  if (keyspace_.changes_of(key) != watched.changes) return true;
  const auto collection = watched.collection.lock();
  return collection != nullptr && collection->version() != watched.version;
}

}  // namespace engram
