// SPDX-License-Identifier: Apache-2.0
// Searches that are answered in pages. The rule: a cursor belongs to the store, knows the keys that
// it has answered, and is used by one request at a time; one that nobody uses ends after a while.
#pragma once

#include <tsl/robin_set.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "core/result.h"
#include "server/engine/key_hash.h"

namespace engram {

/// A paged search between two pages, or in one of them: then it is the request's alone.
class SearchCursor {
 public:
  SearchCursor(std::uint64_t id, std::uint64_t index, std::uint64_t query)
      : id_(id), index_(index), query_(query) {}

  [[nodiscard]] std::uint64_t id() const noexcept { return id_; }
  /// Whether it is of that collection and query, by a hash.
  [[nodiscard]] bool is_of(std::uint64_t index, std::uint64_t query) const noexcept {
    return index_ == index && query_ == query;
  }

  /// How many keys it has answered, some of which may be gone.
  [[nodiscard]] std::size_t answered() const noexcept { return keys_.size(); }
  [[nodiscard]] bool has_answered(std::string_view key) const { return keys_.contains(key); }
  void add_answered(std::string_view key);

  [[nodiscard]] std::size_t bytes() const noexcept { return sizeof(*this) + bytes_; }

 private:
  struct KeyEqual {
    using is_transparent = void;
    bool operator()(std::string_view a, std::string_view b) const noexcept { return a == b; }
  };
  using Keys = tsl::robin_set<std::string, KeyHash, KeyEqual>;

  const std::uint64_t id_;
  const std::uint64_t index_;
  const std::uint64_t query_;
  Keys keys_;
  std::size_t bytes_ = 0;  // of keys_
};

/// How many cursors there may be, how much they may hold in all, and how long they may be idle.
struct CursorLimits {
  std::size_t most = 1000;
  std::size_t most_bytes = std::size_t{64} << 20;
  std::int64_t idle_ms = 300'000;
};

/// Threads: the event loop's only. Times are in milliseconds.
class SearchCursors {
 public:
  using Handle = std::shared_ptr<SearchCursor>;

  /// `seed` makes ids that nobody can guess.
  explicit SearchCursors(std::uint64_t seed) : seed_(seed) {}

  /// A new one, in use. Errors: kResourceExhausted.
  Result<Handle> open(std::uint64_t index, std::uint64_t query, const CursorLimits& limits,
                      std::int64_t now_ms);
  /// The one of that id, in use from now on. Errors: kNotFound, saying if it was idle for too long;
  /// kInvalidArgument if it is of another index or query, or in use; kResourceExhausted.
  Result<Handle> resume(std::uint64_t id, std::uint64_t index, std::uint64_t query,
                        const CursorLimits& limits, std::int64_t now_ms);
  /// It is not in use any more, and may be idle for limits.idle_ms.
  void rest(const SearchCursor& cursor, const CursorLimits& limits, std::int64_t now_ms);
  /// It has ended.
  void close(std::uint64_t id);

  /// Ends those that were idle for too long. To be called now and then.
  void end_idle(std::int64_t now_ms);
  /// When end_idle() may have something to do; nothing: there is none that rests.
  [[nodiscard]] std::optional<std::int64_t> next_end() const noexcept { return next_end_; }

  [[nodiscard]] std::size_t size() const noexcept { return cursors_.size(); }
  /// Without what is answered by pages on their way.
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }

 private:
  struct Entry {
    Handle cursor;
    std::size_t bytes = 0;  // as last counted
    bool is_in_use = true;
    std::int64_t ends_ms = 0;  // if it rests
  };

  [[nodiscard]] Status check_bytes(const CursorLimits& limits) const;
  void remove(std::unordered_map<std::uint64_t, Entry>::iterator entry);

  const std::uint64_t seed_;
  std::uint64_t count_ = 0;  // of those that ever were
  std::unordered_map<std::uint64_t, Entry> cursors_;
  std::size_t bytes_ = 0;
  std::optional<std::int64_t> next_end_;  // none rests that ends before
  std::deque<std::uint64_t> ended_idle_;  // the latest
};

}  // namespace engram
