// SPDX-License-Identifier: Apache-2.0
#include "server/hosts/router/front.h"

#include <sys/socket.h>

#include <cerrno>
#include <span>

#include "server/hosts/router/node_link.h"

namespace engram::router {
namespace {

constexpr std::size_t kReadBytes = 64UL * 1024;
constexpr std::size_t kMostReadAhead = 1UL << 20;
constexpr std::int64_t kLongestLingerMs = 10'000;

}  // namespace

void Front::receive(bool is_gone) {
  if (!takes_input()) {
    is_lost_ = is_lost_ || is_gone;  // the poller would tell of it again and again
    return;
  }
  const std::span<char> room = input_.writable(kReadBytes);
  if (room.empty()) {
    is_lost_ = true;
    return;
  }
  const ssize_t got = ::recv(fd_.get(), room.data(), room.size(), 0);
  if (got < 0) {
    if (errno != EAGAIN && errno != EINTR) is_lost_ = true;
    return;
  }
  if (got == 0) input_ended_ = true;
  active_ms_ = steady_ms();
  input_.commit(static_cast<std::size_t>(got));
  if (lingers_until_ms_ != 0) input_.consume(input_.size());
}

void Front::serve() {
  do {
    collect_replies();
    send();
  } while (!is_lost_ && !is_closing() && start_next());
  collect_replies();
  send();
}

void Front::send() {
  while (sent_ < output_.size() && !is_lost_) {
    const ssize_t taken =
        ::send(fd_.get(), output_.data() + sent_, output_.size() - sent_, MSG_NOSIGNAL);
    if (taken < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN) is_lost_ = true;
      if (sent_ >= kMostUnsent) output_.erase(0, std::exchange(sent_, 0));
      return;
    }
    sent_ += static_cast<std::size_t>(taken);
  }
  output_.clear();
  sent_ = 0;
}

bool Front::finished() {
  if (is_lost_) return true;
  const bool is_done = is_idle() && unsent_bytes() == 0 && (is_closing() || input_ended_);
  if (!is_done || input_ended_ || !is_heard_out()) return is_done;
  if (lingers_until_ms_ == 0) {
    lingers_until_ms_ = steady_ms() + kLongestLingerMs;
    ::shutdown(fd_.get(), SHUT_WR);
    input_.consume(input_.size());
  }
  return false;
}

/// A request that has not come whole may be of any size that its parser allows.
bool Front::takes_input() const noexcept {
  if (lingers_until_ms_ != 0) return !input_ended_;
  const bool is_full = is_held_up_ && input_.size() >= kMostReadAhead;
  return !is_full && !input_ended_ && !is_closing();
}

std::int64_t Front::drop_at_ms() const noexcept {
  if (lingers_until_ms_ != 0) return lingers_until_ms_;
  return is_idle() && unsent_bytes() == 0 ? silent_until_ms() : 0;
}

Interest Front::wanted_interest() const noexcept {
  return {.readable = takes_input(), .writable = unsent_bytes() != 0};
}

}  // namespace engram::router
