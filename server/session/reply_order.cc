// SPDX-License-Identifier: Apache-2.0
#include "server/session/reply_order.h"

#include <numeric>
#include <utility>

#include "core/assert.h"

namespace engram {

ReplyOrder::Place& ReplyOrder::at(std::uint64_t sequence) {
  ENGRAM_ASSERT(sequence - first_ < places_.size());
  return places_[sequence - first_];
}

std::uint64_t ReplyOrder::reserve(CommandKind kind, bool muted, std::size_t expected_bytes) {
  places_.push_back({.kind = kind, .muted = muted, .expected_bytes = expected_bytes});
  bytes_ += expected_bytes;
  ++unanswered_[static_cast<std::size_t>(kind)];
  return next_++;
}

void ReplyOrder::expect(std::uint64_t sequence, std::size_t bytes) {
  at(sequence).expected_bytes += bytes;
  bytes_ += bytes;
}

void ReplyOrder::fill(std::uint64_t sequence, std::string bytes) {
  Place& place = at(sequence);
  ENGRAM_ASSERT(!place.answered);
  place.answered = true;
  bytes_ -= place.expected_bytes;
  --unanswered_[static_cast<std::size_t>(place.kind)];
  if (!place.muted) {
    bytes_ += bytes.size();
    add_part(place, std::move(bytes));
  }
  leave();
}

void ReplyOrder::add_part(Place& place, std::string bytes) {
  if (place.reply.empty()) {
    place.reply = std::move(bytes);
  } else {
    place.reply.append(bytes);
  }
}

void ReplyOrder::extend(std::uint64_t sequence, std::string bytes) {
  Place& place = at(sequence);
  if (place.muted) return;
  bytes_ += bytes.size();
  add_part(place, std::move(bytes));
  leave();
}

void ReplyOrder::hold(std::uint64_t sequence, std::size_t bytes) {
  Place& place = at(sequence);
  ++place.holds;
  place.held_bytes += bytes;
  bytes_ += bytes;
}

void ReplyOrder::release(std::uint64_t sequence, const Error* error) {
  Place& place = at(sequence);
  ENGRAM_ASSERT(place.holds > 0);
  if (--place.holds == 0) bytes_ -= std::exchange(place.held_bytes, 0);
  if (error != nullptr && !place.muted) place.error = sink_.refusal(*error);
  leave();
}

void ReplyOrder::append(std::string_view bytes) {
  if (bytes.empty()) return;
  if (places_.empty()) return sink_.reply(bytes);
  places_.back().following.append(bytes);
  bytes_ += bytes.size();
}

void ReplyOrder::take(std::string bytes) {
  if (bytes.empty()) return;
  if (places_.empty()) return sink_.reply_owned(std::move(bytes));
  if (!places_.back().following.empty()) return append(bytes);
  bytes_ += bytes.size();
  places_.back().following = std::move(bytes);
}

void ReplyOrder::set_kept_back(bool kept_back) {
  kept_back_ = kept_back;
  if (!kept_back) leave();
}

std::size_t ReplyOrder::unanswered() const noexcept {
  return std::accumulate(unanswered_.begin(), unanswered_.end(), std::size_t{0});
}

void ReplyOrder::leave() {
  if (kept_back_) return;
  while (!places_.empty() && places_.front().answered && places_.front().holds == 0) {
    Place front = std::move(places_.front());
    places_.pop_front();
    ++first_;
    bytes_ -= front.reply.size() + front.following.size();
    if (!front.muted) sink_.reply_owned(std::move(front.error.empty() ? front.reply : front.error));
    if (!front.following.empty()) sink_.reply_owned(std::move(front.following));
  }
  // What is there of a reply in parts.
  if (places_.empty() || places_.front().holds > 0 || places_.front().reply.empty()) return;
  Place& first = places_.front();
  bytes_ -= first.reply.size();
  sink_.reply_owned(std::exchange(first.reply, {}));
}

}  // namespace engram
