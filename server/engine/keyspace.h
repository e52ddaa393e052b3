// SPDX-License-Identifier: Apache-2.0
// The one keyspace: every name a client can use, whether it holds a string or a vector collection.
//
// All changes go through the functions under "Changes" and are told to a ChangeSink there.
// Time never comes from the clock: the owner sets it with set_now(). Threads: the event loop's
// only.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "server/engine/change_sink.h"
#include "server/engine/key_table.h"

namespace engram {

class Collection;

/// What a key holds. A collection is shared with the jobs that are working on it.
using Value = std::variant<std::string, std::shared_ptr<Collection>>;

/// "string" or "vectorset", as TYPE says it.
std::string_view type_name(const Value& value) noexcept;

/// How a string came to be what it is, which OBJECT ENCODING tells as Redis does: a number may be
/// told by its text unless the string was computed or changed in its place.
enum class StringForm : std::uint8_t { kGiven, kText, kChanged };

/// What OBJECT and MEMORY tell of a key.
struct KeyFacts {
  const Value& value;
  StringForm form;
  std::int64_t idle_seconds;  ///< since it was read or written
  std::size_t bytes;          ///< of key and string, with their places; of a collection, its place
};

struct KeyspaceStats {
  std::uint64_t hits = 0;
  std::uint64_t misses = 0;
  std::uint64_t expired = 0;
};

class Keyspace {
 public:
  /// Frees what was removed, possibly on another thread: a collection, or a whole keyspace.
  using Reaper = std::function<void(std::shared_ptr<void>)>;

  /// `seed` randomizes the hash; `reaper` gets every removed collection and every cleared table.
  Keyspace(std::uint64_t seed, Reaper reaper);
  ~Keyspace();
  Keyspace(const Keyspace&) = delete;
  Keyspace& operator=(const Keyspace&) = delete;

  /// Who is told of changes from now on; null: nobody. It outlives this.
  void set_change_sink(ChangeSink* sink) noexcept { sink_ = sink; }
  [[nodiscard]] ChangeSink* change_sink() const noexcept { return sink_; }

  /// An id that no collection of this store has ever had.
  [[nodiscard]] std::uint64_t take_collection_id() noexcept { return next_collection_id_++; }
  [[nodiscard]] std::uint64_t next_collection_id() const noexcept { return next_collection_id_; }
  /// Sees to it that `id` is not taken any more.
  void reserve_collection_id(std::uint64_t id) noexcept {
    next_collection_id_ = std::max(next_collection_id_, id + 1);
  }

  /// The time by which keys expire, in unix milliseconds; 0 at first, when nothing has expired.
  void set_now(std::int64_t now_ms) noexcept {
    now_ms_ = now_ms;
    now_seconds_ = static_cast<std::uint32_t>(now_ms / 1000);
  }
  [[nodiscard]] std::int64_t now_ms() const noexcept { return now_ms_; }

  // Look-ups. An expired key is removed on the way and reported as missing. Pointers are valid
  // until the next change.

  /// The value of `key`, or null. Counts a hit or a miss, and ends the key's idle time.
  const Value* find(std::string_view key);
  /// As find(), but the key stays idle; for what looks at keys and not into them.
  const Value* look(std::string_view key);
  /// As look(), but leaves the statistics alone; for writes, and for TYPE.
  const Value* peek(std::string_view key);

  /// Ends the idle time of `key`. False if it is missing.
  bool touch(std::string_view key);
  /// Whether find() does, from now on.
  void set_touching(bool touching) noexcept { touching_ = touching; }

  /// Nothing if there is no such key.
  std::optional<KeyFacts> describe(std::string_view key);
  /// A key that has not expired, `random` choosing; nothing if there is none.
  [[nodiscard]] std::optional<std::string_view> random_key(std::uint64_t random) const;

  [[nodiscard]] bool contains(std::string_view key) { return peek(key) != nullptr; }

  /// When `key` expires in unix milliseconds; nothing if it is missing or never does.
  std::optional<std::int64_t> expires_at(std::string_view key);

  [[nodiscard]] std::size_t size() const noexcept { return table_.size(); }
  [[nodiscard]] std::size_t expiring() const noexcept { return deadlines_.size(); }
  /// The earliest time at which a key expires.
  [[nodiscard]] std::optional<std::int64_t> next_expiry() const;
  [[nodiscard]] const KeyspaceStats& stats() const noexcept { return stats_; }
  void reset_stats() noexcept { stats_ = {}; }

  /// A name of `collection`: `likely`, or another; nothing if it has none any more.
  std::optional<std::string> find_name(const Collection& collection, std::string_view likely);
  /// The names that hold collections, in order; one may have expired.
  [[nodiscard]] const std::set<std::string_view>& collection_names() const noexcept {
    return collection_names_;
  }

  /// Calls visit(name, collection) for each that has not expired, by name. `collection` is a
  /// std::shared_ptr. Not for a visit that removes keys.
  template <class Visit>
  void for_each_collection(Visit&& visit) {
    // A copy: one that has expired goes when it is looked at.
    const std::vector<std::string_view> names(collection_names_.begin(), collection_names_.end());
    for (const std::string_view name : names) {
      const Value* const value = peek(name);
      if (value != nullptr) visit(name, std::get<std::shared_ptr<Collection>>(*value));
    }
  }

  /// One page of SCAN, see KeyTable::scan. Keys that have expired count but are not visited.
  using Visitor = std::function<void(std::string_view key, const Value& value)>;
  std::uint64_t scan(std::uint64_t cursor, std::size_t count, const Visitor& visit);

  /// Visits every key that has not expired, in no particular order.
  void for_each(const Visitor& visit) const;

  /// The collections that keys hold or held, as long as somebody works on them.
  [[nodiscard]] std::vector<std::shared_ptr<Collection>> all_collections() const;

  // Watching: counts what changes a key, that it comes, goes or expires included. What changes
  // inside a collection is counted there.

  /// Begins to count the changes of `key` and returns how many there were, or goes on to.
  std::uint64_t watch(std::string_view key);
  /// Ends one watch() of `key`.
  void unwatch(std::string_view key);
  /// How many changes of a watched key there were.
  [[nodiscard]] std::uint64_t changes_of(std::string_view key) const;

  // Changes.

  /// Makes `key` hold `value`, whatever it held. A deadline that it had is forgotten unless
  /// `keep_ttl`.
  void set(std::string_view key, Value&& value, bool keep_ttl = false,
           StringForm form = StringForm::kGiven);
  /// Appends to the string at `key`, made empty if missing; the value must not be a collection.
  /// Returns the new length in bytes.
  std::size_t append(std::string_view key, std::string_view suffix);
  /// Makes the string at `key` end with `suffix` at `offset`, or where it ends if it is shorter.
  /// For repeating an append. The value must not be a collection.
  void put_suffix(std::string_view key, std::size_t offset, std::string_view suffix);
  /// Writes `bytes` at `offset` into the string at `key`, made empty if missing; zeros fill what
  /// lies between. The value must not be a collection. Returns the length in bytes.
  std::size_t write_range(std::string_view key, std::size_t offset, std::string_view bytes);
  /// Makes `to`, whatever it held, hold what `from` held, with its deadline. `from` is there, and
  /// is another key than `to`.
  void rename(std::string_view from, std::string_view to);
  /// Whether changes of `bytes` may be recorded with what the present command, or transaction, has
  /// recorded. Half of a frame: each of them may fail, and then what was there is recorded anew.
  [[nodiscard]] bool has_room_to_record(std::size_t bytes) const noexcept;

  // Values that are kept elsewhere and are lent for a command. Nothing of that is recorded.

  /// Makes `key`, which is not there, hold `value`.
  void lend(std::string_view key, Value&& value) { add(key, std::move(value)); }
  /// Takes out what `key` holds by now; nothing if it is missing.
  std::optional<Value> take_back(std::string_view key);

  /// Returns false if there was no such key.
  bool erase(std::string_view key);
  /// Makes `key` expire at that unix time; at or before now it is erased. False if it is missing.
  bool expire_at(std::string_view key, std::int64_t unix_ms);
  /// Forgets the deadline of `key`. False if it is missing or has none.
  bool persist(std::string_view key);
  /// Erases at most `limit` keys whose time has come and returns how many.
  std::size_t expire_due(std::size_t limit);
  void clear();

 private:
  static constexpr std::int64_t kNever = kNeverExpires;

  /// The small members lie in what is left of the value's last word, so that they cost no memory.
  struct Entry {
    std::string key;
    [[no_unique_address]] Value value;
    StringForm form = StringForm::kGiven;
    std::uint32_t touched_seconds = 0;  // unix time
    std::int64_t expires_ms = kNever;
  };
  static_assert(sizeof(Entry) == sizeof(std::string) + sizeof(Value) + sizeof(std::int64_t));

  struct Watch {
    std::size_t watchers = 0;
    std::uint64_t changes = 0;
  };
  using Table = KeyTable<std::unique_ptr<Entry>, 10>;
  using Deadlines = std::set<std::pair<std::int64_t, Entry*>>;

  [[nodiscard]] bool expired(const Entry& entry) const noexcept;
  Entry* live_entry(std::string_view key);
  Entry& add(std::string_view key, Value&& value);
  void set_value(Entry& entry, Value&& value);
  void record_value(const Entry& entry);
  std::string& change_text(std::string_view key, StringForm new_form);
  void set_deadline(Entry& entry, std::int64_t expires_ms);
  void remove(Entry& entry);
  void take_out(Entry& entry);
  void remember(const Value& value);
  void count_change(std::string_view key);

  const std::uint64_t seed_;
  const Reaper reaper_;
  Table table_;
  Deadlines deadlines_;  // only the keys that expire, soonest first
  std::set<std::string_view> collection_names_;
  std::vector<std::weak_ptr<Collection>> collections_;  // that were set; some may have gone
  std::size_t most_collections_ = 16;                   // before those that have gone are let go of
  std::map<std::string, Watch, std::less<>> watches_;
  std::int64_t now_ms_ = 0;
  std::uint32_t now_seconds_ = 0;
  bool touching_ = true;
  std::uint64_t next_collection_id_ = 1;
  ChangeSink* sink_ = nullptr;
  KeyspaceStats stats_;
};

}  // namespace engram
