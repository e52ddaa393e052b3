// SPDX-License-Identifier: Apache-2.0
#include "server/engine/search_cursors.h"

#include <algorithm>

#include "core/hash.h"

namespace engram {
namespace {

constexpr std::size_t kEndedIdle = 1024;  // that are told from those that never were
constexpr std::size_t kPlaceOfKey = 2 * (sizeof(std::string) + sizeof(std::size_t));

}  // namespace

void SearchCursor::add_answered(std::string_view key) {
  if (keys_.insert(std::string(key)).second) bytes_ += key.size() + kPlaceOfKey;
}

Status SearchCursors::check_bytes(const CursorLimits& limits) const {
  if (bytes_ < limits.most_bytes) return {};
  return fail(ErrorCode::kResourceExhausted,
              "the cursors of searches hold " + std::to_string(bytes_) +
                  " bytes, search-cursor-memory allows " + std::to_string(limits.most_bytes));
}

Result<SearchCursors::Handle> SearchCursors::open(std::uint64_t index, std::uint64_t query,
                                                  const CursorLimits& limits, std::int64_t now_ms) {
  end_idle(now_ms);
  if (cursors_.size() >= limits.most) {
    return fail(ErrorCode::kResourceExhausted, "there are " + std::to_string(cursors_.size()) +
                                                   " cursors of searches, search-cursors allows " +
                                                   std::to_string(limits.most) +
                                                   ": answer one to its end, or let it be idle");
  }
  ENGRAM_TRY(check_bytes(limits));
  std::uint64_t id = 0;
  while (id == 0 || cursors_.contains(id)) id = mix(seed_ ^ ++count_);
  Entry entry = {.cursor = std::make_shared<SearchCursor>(id, index, query)};
  entry.bytes = entry.cursor->bytes();
  bytes_ += entry.bytes;
  return cursors_.emplace(id, std::move(entry)).first->second.cursor;
}

Result<SearchCursors::Handle> SearchCursors::resume(std::uint64_t id, std::uint64_t index,
                                                    std::uint64_t query, const CursorLimits& limits,
                                                    std::int64_t now_ms) {
  end_idle(now_ms);
  const std::string name = "cursor " + std::to_string(id);
  const auto found = cursors_.find(id);
  if (found == cursors_.end()) {
    if (std::find(ended_idle_.begin(), ended_idle_.end(), id) != ended_idle_.end()) {
      return fail(ErrorCode::kInvalidArgument,
                  name + " has ended: it was idle for longer than search-cursor-timeout allows");
    }
    return fail(ErrorCode::kInvalidArgument,
                "there is no " + name +
                    ": CURSOR 0 begins a search, and one that was answered to "
                    "its end, or idle for long, has no cursor any more");
  }
  Entry& entry = found->second;
  if (!entry.cursor->is_of(index, query)) {
    return fail(ErrorCode::kInvalidArgument, name + " is of another index or query");
  }
  if (entry.is_in_use) {
    return fail(ErrorCode::kInvalidArgument,
                name + " is in use: its last page is not answered yet");
  }
  ENGRAM_TRY(check_bytes(limits));
  entry.is_in_use = true;
  return entry.cursor;
}

void SearchCursors::rest(const SearchCursor& cursor, const CursorLimits& limits,
                         std::int64_t now_ms) {
  const auto found = cursors_.find(cursor.id());
  if (found == cursors_.end()) return;
  Entry& entry = found->second;
  bytes_ += cursor.bytes() - entry.bytes;
  entry.bytes = cursor.bytes();
  entry.is_in_use = false;
  entry.ends_ms = now_ms + limits.idle_ms;
  next_end_ = std::min(next_end_.value_or(entry.ends_ms), entry.ends_ms);
}

void SearchCursors::close(std::uint64_t id) {
  if (const auto found = cursors_.find(id); found != cursors_.end()) remove(found);
}

void SearchCursors::remove(std::unordered_map<std::uint64_t, Entry>::iterator entry) {
  bytes_ -= entry->second.bytes;
  cursors_.erase(entry);
}

void SearchCursors::end_idle(std::int64_t now_ms) {
  if (!next_end_ || *next_end_ > now_ms) return;
  next_end_.reset();
  for (auto each = cursors_.begin(); each != cursors_.end();) {
    const auto entry = each++;
    if (entry->second.is_in_use) continue;
    const std::int64_t ends_ms = entry->second.ends_ms;
    if (ends_ms > now_ms) {
      next_end_ = std::min(next_end_.value_or(ends_ms), ends_ms);
      continue;
    }
    ended_idle_.push_back(entry->first);
    if (ended_idle_.size() > kEndedIdle) ended_idle_.pop_front();
    remove(entry);
  }
}

}  // namespace engram
