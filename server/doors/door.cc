// SPDX-License-Identifier: Apache-2.0
#include "server/doors/door.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace engram {
namespace {

constexpr std::size_t kReadBytes = 16UL * 1024;
constexpr std::size_t kMostReadBytes = 1024UL * 1024;  // per turn, while a large request arrives
constexpr std::size_t kReadAheadBytes = 64UL * 1024;   // of requests that have to wait
constexpr std::size_t kFullOutputBytes = 1024UL * 1024;
constexpr int kRequestsPerTurn = 256;
constexpr std::size_t kKeptBytes = 64UL * 1024;        // a quiet client keeps no larger buffer
constexpr std::size_t kLargeReplyBytes = 64UL * 1024;  // is not copied

}  // namespace

bool Door::wants_input() const noexcept {
  const bool is_choked = stall_ != Stall::kNone && input_.size() >= kReadAheadBytes;
  return !input_ended_ && !is_choked && !session().client().close_after_reply;
}

bool Door::takes_input() const noexcept {
  const bool reads_ahead = stall_ != Stall::kNone || more_;
  return !input_ended_ && !abandoned_ && !(reads_ahead && input_.size() >= kReadAheadBytes);
}

std::span<char> Door::input_room() {
  const std::size_t wanted = std::clamp(bytes_missing(), kReadBytes, kMostReadBytes);
  const std::span<char> room = input_.writable(wanted);
  return room.first(std::min(room.size(), kMostReadBytes));
}

std::size_t Door::unsent_bytes() const noexcept {
  return std::accumulate(
      behind_.begin(), behind_.end(), unsent().size(),
      [](std::size_t sum, const std::string& bytes) { return sum + bytes.size(); });
}

bool Door::output_full() const noexcept {
  return unsent_bytes() + session().pending_bytes() >= kFullOutputBytes;
}

bool Door::is_full() const {
  return unsent_bytes() >= kFullOutputBytes;
}

void Door::reply_owned(std::string&& bytes) {
  if (bytes.size() < kLargeReplyBytes) return reply(bytes);
  if (unsent().empty()) {
    output_ = std::move(bytes);
    sent_ = 0;
  } else {
    behind_.push_back(std::move(bytes));
  }
}

void Door::execute() {
  // A killed client's requests are not executed any more. A request that still has to wait for
  // those in flight is not parsed again: it may be a large one, and each of them ends here.
  if (abandoned_ || (stall_ == Stall::kOrder && !session().may_resume())) return;
  stall_ = Stall::kNone;
  const Client& client = session().client();
  set_limits();
  int left = kRequestsPerTurn;
  begin_run();
  while (left > 0 && has_more() && !client.close_after_reply && !abandoned_ && execute_next()) {
    --left;
  }
  end_run();
  more_ = left == 0 && has_more();
  if (client.close_after_reply) input_.consume(input_.size());
  input_.shrink(kKeptBytes);
}

void Door::mark_sent(std::size_t bytes) {
  sent_ += bytes;
  if (sent_ == output_.size()) {
    output_.clear();
    sent_ = 0;
    if (!behind_.empty()) {
      output_ = std::move(behind_.front());
      behind_.pop_front();
    } else if (output_.capacity() > kKeptBytes) {
      output_.shrink_to_fit();
    }
  } else if (sent_ > output_.size() / 2) {
    output_.erase(0, sent_);
    sent_ = 0;
  }
  if (!is_full()) session().resume_parts();
}

bool Door::can_continue() const noexcept {
  return more_ || (stall_ == Stall::kOutput && !output_full());
}

bool Door::finished() const noexcept {
  if (abandoned_) return true;
  const bool ended =
      session().client().close_after_reply || (input_ended_ && stall_ == Stall::kNone && !more_);
  return ended && quiet();
}

void Door::refresh_client() {
  Client& client = session().client();
  client.input_bytes = input_.size();
  client.input_capacity = input_.capacity();
  client.output_bytes = unsent_bytes() + session().pending_bytes();
}

std::size_t Door::release_buffers() {
  const std::size_t before = input_.capacity() + output_.capacity();
  input_.fit();
  std::string().swap(output_);  // assignment would keep the memory
  sent_ = 0;
  release_parser();
  return before - input_.capacity() - output_.capacity();
}

}  // namespace engram
