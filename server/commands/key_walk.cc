// SPDX-License-Identifier: Apache-2.0
#include "server/commands/key_walk.h"

#include <algorithm>
#include <deque>
#include <limits>
#include <memory>
#include <string>
#include <utility>

#include "core/text.h"
#include "server/commands/glob.h"
#include "server/config/config.h"
#include "server/engine/keyspace.h"
#include "server/runtime/loop_slices.h"

namespace engram {
namespace {

using Clock = LoopSlices::Clock;

constexpr std::size_t kPartBytes = 256UL * 1024;
/// SCAN ends its page early rather than answer more: COUNT is a hint.
constexpr std::size_t kMostScanBytes = 16UL * 1024 * 1024;
/// What a match may take before it is put aside, some 50 µs.
constexpr std::size_t kMatchSteps = 50'000;

class KeyWalk {
 public:
  KeyWalk(Services& services, const KeyQuery& query, bool is_page, std::uint64_t cursor,
          std::size_t count)
      : services_(services),
        pattern_(query.pattern),
        is_page_(is_page),
        cursor_(cursor),
        left_(count) {
    if (query.type) type_ = std::string(*query.type);
  }

  /// True: it has ended.
  bool advance(Clock::time_point until);

  /// Once it has ended: the whole reply, whose parts `give(std::string)` gets one after the other.
  template <class Give>
  void reply(RespVersion version, Give&& give);

  std::optional<Deferred> promise;  ///< of the reply, if it was not given at once

 private:
  /// A key whose match takes long, which may be erased meanwhile.
  struct Aside {
    std::string key;
    GlobMatch match;
  };

  [[nodiscard]] bool has_walked() const noexcept;
  [[nodiscard]] bool is_too_long() const noexcept {
    return !is_page_ && bytes_ > services_.config.proto_max_bulk_len;
  }
  void walk_page();
  void look_at(std::string_view key, const Value& value);
  void add(std::string_view key);

  Services& services_;
  GlobPattern pattern_;
  std::optional<std::string> type_;
  const bool is_page_;
  std::uint64_t cursor_;
  std::size_t left_;  // keys to look at
  bool has_begun_ = false;
  std::size_t page_size_ = 16;
  std::deque<Aside> aside_;
  std::size_t found_ = 0;
  std::size_t bytes_ = 0;          // of parts_
  std::deque<std::string> parts_;  // keys as bulk strings
};

bool KeyWalk::has_walked() const noexcept {
  if (left_ == 0 || (has_begun_ && cursor_ == 0)) return true;
  return is_page_ ? bytes_ >= kMostScanBytes : is_too_long();
}

bool KeyWalk::advance(Clock::time_point until) {
  do {
    if (!aside_.empty()) {
      Aside& first = aside_.front();
      if (!first.match.advance(kMatchSteps)) continue;
      if (first.match.matches()) add(first.key);
      aside_.pop_front();
    } else if (has_walked()) {
      return true;
    } else {
      walk_page();
    }
  } while (Clock::now() < until);
  return aside_.empty() && has_walked();
}

/// Its size follows from what the one before took: keys, and their matches, may be short or long.
void KeyWalk::walk_page() {
  constexpr std::size_t kLargestPage = 16'384;
  const auto begun = Clock::now();
  const std::size_t count = std::min(page_size_, left_);
  cursor_ = services_.store.keyspace().scan(
      cursor_, count, [this](std::string_view key, const Value& value) { look_at(key, value); });
  has_begun_ = true;
  left_ -= count;
  const auto took = Clock::now() - begun;
  if (took < LoopSlices::kSlice / 4) page_size_ = std::min(page_size_ * 2, kLargestPage);
  if (took > LoopSlices::kSlice) page_size_ = std::max<std::size_t>(page_size_ / 2, 1);
}

void KeyWalk::look_at(std::string_view key, const Value& value) {
  if (type_ && !equal_ignoring_case(*type_, type_name(value))) return;
  GlobMatch match(pattern_, key);
  if (!match.advance(kMatchSteps)) {
    Aside& kept = aside_.emplace_back(Aside{std::string(key), std::move(match)});
    return kept.match.move_to(kept.key);
  }
  if (match.matches()) add(key);
}

void KeyWalk::add(std::string_view key) {
  if (parts_.empty() || parts_.back().size() + key.size() > kPartBytes) parts_.emplace_back();
  const std::size_t before = parts_.back().size();
  ReplyWriter(parts_.back(), RespVersion::kResp2).bulk(key);
  bytes_ += parts_.back().size() - before;
  ++found_;
}

template <class Give>
void KeyWalk::reply(RespVersion version, Give&& give) {
  std::string head;
  ReplyWriter writer(head, version);
  if (is_too_long()) {
    writer.error("ERR the keys that match have more than " +
                 std::to_string(services_.config.proto_max_bulk_len) +
                 " bytes (proto-max-bulk-len), SCAN answers them in parts");
    return give(std::move(head));
  }
  if (is_page_) {
    writer.array(2);
    writer.bulk(std::to_string(cursor_));
  }
  writer.array(found_);
  give(std::move(head));
  for (; !parts_.empty(); parts_.pop_front()) give(std::move(parts_.front()));
}

/// Gives the reply that was promised in as many parts as there are, so that none is copied.
void keep_promise(KeyWalk& walk) {
  Deferred& promise = *walk.promise;
  std::string last;
  walk.reply(promise.version(),
             [&](std::string part) { promise.give_part(std::exchange(last, std::move(part))); });
  promise.reply_rendered(std::move(last));
}

void start(CommandContext& context, std::unique_ptr<KeyWalk> begun) {
  const std::shared_ptr<KeyWalk> walk = std::move(begun);
  if (walk->advance(Clock::now() + LoopSlices::kSlice)) {
    return walk->reply(context.reply.version(),
                       [&](std::string_view part) { context.reply.rendered(part); });
  }
  walk->promise.emplace(context.defer());
  context.services.store.slices().add([walk](Clock::time_point until) {
    if (!walk->promise->is_awaited()) return true;
    if (!walk->advance(until)) return false;
    keep_promise(*walk);
    return true;
  });
}

}  // namespace

void reply_keys(CommandContext& context, const KeyQuery& query) {
  constexpr auto kAll = std::numeric_limits<std::size_t>::max();
  start(context, std::make_unique<KeyWalk>(context.services, query, /*is_page=*/false, 0, kAll));
}

void reply_page(CommandContext& context, const KeyQuery& query, std::uint64_t cursor,
                std::size_t count) {
  start(context,
        std::make_unique<KeyWalk>(context.services, query, /*is_page=*/true, cursor, count));
}

}  // namespace engram
