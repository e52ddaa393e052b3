// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <functional>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <tsl/robin_map.h>

#include "core/slot.h"
#include "server/engine/key_hash.h"

namespace engram {

/// Lets one write per key run at a time, in the order in which they came; writes to different keys
/// do not wait for each other, unless all stand in one line. Threads: the event loop's only.
class KeyOrder {
 public:
  /// one_line: every write waits for all before it, whatever its key.
  explicit KeyOrder(bool one_line = false) noexcept : one_line_(one_line) {}

  /// Calls `start` when no earlier write to `key` is unfinished: now, or in some later finish(key).
  /// place: where the write puts the key, kNoSlot for an erase; nothing if it leaves it where it
  /// is.
  void begin(std::string_view key, std::function<void()> start, std::optional<Slot> place = {}) {
    const std::string line = line_of(key);
    Turn& turn = turns_[line];
    if (one_line_) {
      Place& mine = places_[std::string(key)];
      ++mine.writes;
      if (place) mine.place = place;
    } else if (place) {
      turn.place = place;
    }
    std::string name = one_line_ ? std::string(key) : std::string();
    if (turn.is_taken || turn.is_running || !turn.waiting.empty()) {
      turn.waiting.push_back({std::move(name), std::move(start)});
      return;
    }
    // As run() does, for the most part of all writes: nothing is made that waits.
    turn.taken = std::move(name);
    turn.is_taken = turn.is_running = true;
    start();
    Turn& started = turns_.find(line).value();  // the table may have moved
    started.is_running = false;
    if (!started.is_taken) run(line);
  }

  /// Tells begin()'s place beforehand; no write to any key ends until it is called.
  void set_place(std::string_view key, Slot place) {
    if (one_line_) {
      places_[std::string(key)].place = place;
    } else {
      turns_[std::string(key)].place = place;
    }
  }

  /// Where the last of the unfinished writes to `key` puts it, kNoSlot for an erase; nothing if
  /// there is none.
  [[nodiscard]] std::optional<Slot> place(std::string_view key) const {
    if (one_line_) {
      const auto found = places_.find(key);
      return found == places_.end() ? std::nullopt : found->second.place;
    }
    const auto found = turns_.find(key);
    return found == turns_.end() ? std::nullopt : found->second.place;
  }

  /// The write to `key` that was started has ended. It may have ended inside its own start.
  void finish(std::string_view key) {
    const std::string line = line_of(key);
    turns_.find(line).value().is_taken = false;
    if (one_line_) {
      const auto found = places_.find(key);
      if (--found.value().writes == 0) places_.erase(found);
    }
    run(line);
  }

  /// No write is unfinished.
  [[nodiscard]] bool is_idle() const noexcept { return turns_.empty(); }

  /// A write to `key` is unfinished.
  [[nodiscard]] bool is_busy(std::string_view key) const { return turns_.contains(line_of(key)); }

  /// The same of writes to that very key, also where all are in one line.
  [[nodiscard]] bool is_written(std::string_view key) const {
    const auto turn = turns_.find(line_of(key));
    if (turn == turns_.end()) return false;
    return !one_line_ || turn->second.taken == key || is_contended(key);
  }

  /// A write to `key` waits for another.
  [[nodiscard]] bool is_contended(std::string_view key) const {
    const auto turn = turns_.find(line_of(key));
    if (turn == turns_.end()) return false;
    const auto& waiting = turn->second.waiting;
    const std::string_view name = one_line_ ? key : std::string_view();
    return std::any_of(waiting.begin(), waiting.end(),
                       [&](const Waiting& write) { return write.key == name; });
  }

  /// Forgets the writes that wait; for shutdown.
  void abandon_waiting() {
    std::exchange(turns_, {});
    places_.clear();
  }

 private:
  struct Waiting {
    std::string key;  // in one line; else the line says it
    std::function<void()> start;
  };

  struct Turn {
    bool is_taken = false;       // a write was started and has not ended
    std::string taken;           // its key, in one line
    bool is_running = false;     // run() is at work further down the stack
    std::list<Waiting> waiting;  // no memory while none does
    std::optional<Slot> place;   // unless all are in one line
  };

  struct Place {
    std::optional<Slot> place;
    std::size_t writes = 0;
  };

  [[nodiscard]] std::string line_of(std::string_view key) const {
    return one_line_ ? std::string() : std::string(key);
  }

  /// Starts what may start. A loop, not a recursion: any number of writes may end in their starts.
  void run(const std::string& line) {
    // Looked up anew each time, because a start may begin writes to other keys and move the table.
    const auto turn = [&]() -> Turn& { return turns_.find(line).value(); };
    if (std::exchange(turn().is_running, true)) return;
    while (!turn().is_taken && !turn().waiting.empty()) {
      const std::function<void()> start = std::move(turn().waiting.front().start);
      turn().taken = std::move(turn().waiting.front().key);
      turn().waiting.pop_front();
      turn().is_taken = true;
      start();
    }
    turn().is_running = false;
    if (turn().is_taken) return;
    turns_.erase(line);
    if (turns_.empty()) turns_.rehash(0);  // an index at rest keeps no memory for this
  }

  template <class Value>
  using Map = tsl::robin_map<std::string, Value, KeyHash, std::equal_to<>>;

  const bool one_line_;
  Map<Turn> turns_;    // by line, those with a write
  Map<Place> places_;  // of the keys in the one line
};

}  // namespace engram
