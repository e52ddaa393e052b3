// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include <tsl/robin_map.h>

namespace engram {

/// Lets one write per key run at a time, in the order in which they came; writes to different keys
/// do not wait for each other. Threads: the event loop's only.
class KeyOrder {
 public:
  /// Calls `start` when no earlier write to `key` is unfinished: now, or in some later finish(key).
  void begin(std::string_view key, std::function<void()> start) {
    const auto [position, is_idle] = waiting_.try_emplace(std::string(key));
    if (!is_idle) {
      position.value().push_back(std::move(start));
      return;
    }
    start();
  }

  /// The write to `key` that was started has ended.
  void finish(std::string_view key) {
    const auto position = waiting_.find(std::string(key));
    if (position.value().empty()) {
      waiting_.erase(position);
      return;
    }
    const std::function<void()> next = std::move(position.value().front());
    position.value().pop_front();
    next();
  }

  /// Forgets the writes that wait; for shutdown.
  void abandon_waiting() { std::exchange(waiting_, {}); }

 private:
  tsl::robin_map<std::string, std::deque<std::function<void()>>> waiting_;  // keys being written
};

}  // namespace engram
