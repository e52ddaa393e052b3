// SPDX-License-Identifier: Apache-2.0
#include "server/session/watched_keys.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "server/engine/collection.h"

namespace engram {

void WatchedKeys::add(std::string_view key) {
  if (std::any_of(watched_.begin(), watched_.end(),
                  [key](const Watched& watched) { return watched.key == key; })) {
    return;
  }
  const Value* const value = keyspace_.peek(key);  // one that has expired is gone before it counts
  Watched watched{std::string(key), keyspace_.watch(key), {}, 0};
  if (value != nullptr) {
    if (const auto* const collection = std::get_if<std::shared_ptr<Collection>>(value)) {
      watched.collection = *collection;
      watched.version = (*collection)->version();
    }
  }
  watched_.push_back(std::move(watched));
}

void WatchedKeys::clear() {
  for (const Watched& watched : std::exchange(watched_, {})) keyspace_.unwatch(watched.key);
}

bool WatchedKeys::any_changed() {
  return std::any_of(watched_.begin(), watched_.end(),
                     [this](const Watched& watched) { return has_changed(watched); });
}

bool WatchedKeys::has_changed(const Watched& watched) {
  keyspace_.peek(watched.key);  // to have expired is to have changed
  if (keyspace_.changes_of(watched.key) != watched.changes) return true;
  const auto collection = watched.collection.lock();
  return collection != nullptr && collection->version() != watched.version;
}

}  // namespace engram
