// SPDX-License-Identifier: Apache-2.0
#include "server/hosts/router/node_link.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include "server/net/socket.h"
#include "server/resp/command.h"

namespace engram::router {
namespace {

constexpr std::int64_t kFirstPauseMs = 50;
constexpr std::int64_t kLongestPauseMs = 1000;
constexpr std::size_t kReplyBytes = 64UL * 1024;
constexpr std::size_t kIdleBufferBytes = 1UL << 20;
constexpr std::size_t kSentBytes = 1UL << 20;  // are kept until all is sent

}  // namespace

std::int64_t steady_us() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::microseconds>(now).count();
}

NodeLink::NodeLink(Address address, LinkKind kind, const LinkSettings& settings, Poller& poller,
                   std::uint64_t token)
    : address_(std::move(address)),
      kind_(kind),
      settings_(settings),
      poller_(poller),
      token_(token) {}

NodeLink::~NodeLink() {
  close_socket();
}

void NodeLink::send(std::string_view command, int timeout_ms, Callback callback) {
  if (may_connect()) connect();
  waiting_.push_back({std::move(callback), timeout_ms});
  if (state_ == State::kDown) return;  // tick() tells so
  unsent_.append(command);
  if (state_ == State::kUp && waiting_.size() == 1) start_clock();
}

/// Of the command that the node is to answer next: those behind it wait for that, not for the node.
void NodeLink::start_clock() {
  if (!waiting_.empty()) until_ms_ = steady_ms() + waiting_.front().timeout_ms;
}

void NodeLink::connect() {
  const auto endpoint = parse_address(address_);
  auto peers = endpoint ? find_peer(endpoint->host, endpoint->port)
                        : Result<std::vector<PeerAddress>>(tl::unexpected(endpoint.error()));
  if (!peers) {
    why_down_ = peers.error().message;
    retry_ms_ = steady_ms() + kFirstPauseMs;
    return;
  }
  untried_.assign(peers->rbegin(), peers->rend());
  if (!connect_to_next()) {
    retry_ms_ = steady_ms() + kFirstPauseMs;
    return;
  }
  ++generation_;
  greet();
}

/// Returns false, and why_down_, if no address is left.
bool NodeLink::connect_to_next() {
  while (!untried_.empty()) {
    fd_ = connect_tcp(untried_.back(), Connecting::kLater);
    untried_.pop_back();
    watched_ = {.readable = true, .writable = true};
    if (fd_.valid() && poller_.add(fd_.get(), token_, watched_)) {
      tune_connection(fd_.get(), 0);
      state_ = State::kConnecting;
      connect_until_ms_ = steady_ms() + settings_.connect_timeout_ms;
      return true;
    }
    why_down_ = std::strerror(errno);
    fd_.reset();
  }
  return false;
}

/// Nor does the kernel deliver later what the node has not got: a write that was given up would
/// undo those that follow it.
void NodeLink::close_socket() {
  if (!fd_.valid()) return;
  poller_.remove(fd_.get());
  constexpr linger kDropAll = {.l_onoff = 1, .l_linger = 0};
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &kDropAll, sizeof kDropAll);
  fd_.reset();
}

/// What a node is told before anything else. Its replies are taken off by take_replies().
void NodeLink::greet() {
  greetings_ = 0;
  const auto say = [this](std::initializer_list<std::string_view> words) {
    append_command(unsent_, words);
    ++greetings_;
  };
  if (!settings_.password.empty()) {
    say({"AUTH", settings_.user.empty() ? "default" : settings_.user, settings_.password});
  }
  if (kind_.version == RespVersion::kResp3) say({"HELLO", "3"});
  if (kind_.use == LinkUse::kReplica) say({"READONLY"});
}

void NodeLink::finish_connecting() {
  int error = 0;
  socklen_t size = sizeof error;
  if (::getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
  if (error != 0) {
    close_socket();
    if (!connect_to_next()) fail_all(std::strerror(error));
    return;
  }
  state_ = State::kUp;
  pause_ms_ = 0;
  start_clock();
}

void NodeLink::handle(const PollEvent& event) {
  if (state_ == State::kDown) return;
  if (state_ == State::kConnecting) finish_connecting();
  if (state_ == State::kUp && (event.readable || event.hung_up)) receive();
  if (state_ == State::kUp) flush();
}

void NodeLink::flush() {
  if (state_ != State::kUp) return;
  while (sent_ < unsent_.size()) {
    const ssize_t taken =
        ::send(fd_.get(), unsent_.data() + sent_, unsent_.size() - sent_, MSG_NOSIGNAL);
    if (taken < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN) break;
      return fail_all(std::strerror(errno));
    }
    has_sent_ = true;
    sent_ += static_cast<std::size_t>(taken);
  }
  if (sent_ == unsent_.size()) {
    unsent_.clear();
    sent_ = 0;
  } else if (sent_ >= kSentBytes) {
    unsent_.erase(0, std::exchange(sent_, 0));
  }
  if (unsent_.empty()) {
    if (unsent_.capacity() > kIdleBufferBytes) unsent_.shrink_to_fit();
  }
  watch();
}

void NodeLink::watch() {
  const Interest wanted = {.readable = true, .writable = sent_ < unsent_.size()};
  if (wanted == watched_) return;
  poller_.modify(fd_.get(), token_, wanted);
  watched_ = wanted;
}

void NodeLink::receive() {
  const std::span<char> room = input_.writable(kReplyBytes);
  if (room.empty()) return fail_all("there is no memory for its reply");
  const ssize_t got = ::recv(fd_.get(), room.data(), room.size(), 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) return fail_all(got == 0 ? "it closed the connection" : std::strerror(errno));
  input_.commit(static_cast<std::size_t>(got));
  take_replies();
}

void NodeLink::take_replies() {
  while (state_ == State::kUp) {
    const auto outcome = scanner_.scan(input_.view());
    if (outcome == ReplyScanner::Outcome::kIncomplete) break;
    const std::string_view bytes = input_.view().substr(0, scanner_.size());
    const bool is_greeting = greetings_ > 0;
    if (outcome == ReplyScanner::Outcome::kError || (!is_greeting && waiting_.empty())) {
      return fail_all("what it answers is no reply");
    }
    if (is_greeting) {
      --greetings_;
      if (bytes.starts_with('-')) return fail_all("it refuses us: " + read_reply(bytes).text);
    } else {
      const Callback callback = std::move(waiting_.front().callback);
      waiting_.pop_front();
      start_clock();
      callback({.bytes = bytes});
    }
    input_.consume(bytes.size());
  }
  input_.shrink(kIdleBufferBytes);
}

void NodeLink::fail_all(const std::string& why) {
  close_socket();
  state_ = State::kDown;
  why_down_ = why;
  const std::string reason = why_down_;  // callbacks may make the link fail again
  unsent_.clear();
  sent_ = 0;
  input_.consume(input_.size());
  scanner_ = {};
  pause_ms_ = std::clamp(pause_ms_ * 2, kFirstPauseMs, kLongestPauseMs);
  retry_ms_ = steady_ms() + pause_ms_;
  const bool was_sent = std::exchange(has_sent_, false);
  for (std::deque<Waiting> lost = std::exchange(waiting_, {}); const Waiting& waiting : lost) {
    waiting.callback({.is_lost = true, .was_sent = was_sent, .bytes = reason});
  }
}

void NodeLink::tick(std::int64_t now_ms) {
  if (state_ == State::kDown && !waiting_.empty()) {
    const std::string why = why_down_;
    const std::int64_t retry_ms = retry_ms_;
    const std::int64_t pause_ms = pause_ms_;
    fail_all(why);
    retry_ms_ = retry_ms;
    pause_ms_ = pause_ms;
    return;
  }
  if (state_ == State::kConnecting && now_ms >= connect_until_ms_) {
    close_socket();
    if (!connect_to_next()) fail_all("it does not answer");
    return;
  }
  if (state_ == State::kUp && !waiting_.empty() && now_ms >= until_ms_) fail_all("timed out");
}

std::int64_t NodeLink::next_tick_ms() const noexcept {
  if (state_ == State::kConnecting) return connect_until_ms_;
  if (waiting_.empty()) return -1;
  return state_ == State::kUp ? until_ms_ : 0;
}

}  // namespace engram::router
