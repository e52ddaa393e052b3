// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "server/engine/keyspace.h"

namespace engram {

/// The keys that a client has asked to WATCH, and whether any of them has changed since: a string
/// that was set, a key that expired, a collection whose content changes. Threads: the event loop's
/// only.
class WatchedKeys {
 public:
  /// `keyspace` outlives it.
  explicit WatchedKeys(Keyspace& keyspace) noexcept : keyspace_(keyspace) {}
  ~WatchedKeys() { clear(); }
  WatchedKeys(const WatchedKeys&) = delete;
  WatchedKeys& operator=(const WatchedKeys&) = delete;

  /// A key that is watched already is watched from when it first was.
  void add(std::string_view key);
  void clear();
  [[nodiscard]] bool any_changed();
  /// Whether one of them held a collection.
  [[nodiscard]] bool any_collection() const;

 private:
  struct Watched {
    std::uint64_t changes;                 // of the key, when it was added
    std::weak_ptr<Collection> collection;  // that it held then
    std::uint64_t version;                 // of the collection
  };

  [[nodiscard]] bool has_changed(const std::string& key, const Watched& watched);

  Keyspace& keyspace_;
  std::map<std::string, Watched, std::less<>> watched_;
};

}  // namespace engram
