// SPDX-License-Identifier: Apache-2.0
#include "server/hosts/router/node_link.h"

#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>
#include <utility>

#include "server/net/socket.h"

namespace engram::router {
namespace {

constexpr std::int64_t kFirstPauseMs = 50;
constexpr std::int64_t kLongestPauseMs = 1000;
constexpr std::size_t kReplyBytes = 64UL * 1024;
constexpr std::size_t kIdleBufferBytes = 1UL << 20;
constexpr std::size_t kSentBytes = 1UL << 20;  // are kept until all is sent

/// A socket that connects, or an invalid one and errno. A name is looked up: nodes are known by
/// numbers as a rule, so that costs no waiting.
UniqueFd begin_connecting(const Endpoint& endpoint, bool& is_connected) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (::getaddrinfo(endpoint.host.c_str(), std::to_string(endpoint.port).c_str(), &hints, &found) !=
      0) {
    errno = EHOSTUNREACH;
    return {};
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> list(found, &::freeaddrinfo);
  UniqueFd fd(::socket(list->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return fd;
  is_connected = ::connect(fd.get(), list->ai_addr, list->ai_addrlen) == 0;
  if (!is_connected && errno != EINPROGRESS) {
    const int error = errno;
    fd.reset();
    errno = error;
  }
  return fd;
}

}  // namespace

std::int64_t steady_ms() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

std::string encode_command(std::span<const std::string_view> argv) {
  std::string out;
  ReplyWriter writer(out, RespVersion::kResp2);
  writer.array(argv.size());
  for (const std::string_view word : argv) writer.bulk(word);
  return out;
}

std::string encode_command(std::initializer_list<std::string_view> argv) {
  return encode_command(std::span(argv.begin(), argv.size()));
}

NodeLink::NodeLink(Address address, RespVersion version, const LinkSettings& settings,
                   Poller& poller, std::uint64_t token)
    : address_(std::move(address)),
      version_(version),
      settings_(settings),
      poller_(poller),
      token_(token) {}

NodeLink::~NodeLink() {
  if (fd_.valid()) poller_.remove(fd_.get());
}

void NodeLink::send(std::string_view command, int timeout_ms, Callback callback) {
  const std::int64_t now_ms = steady_ms();
  if (state_ == State::kDown && now_ms >= retry_ms_) connect();
  // While it is down, tick() tells so.
  const std::int64_t until_ms = state_ == State::kDown ? now_ms : now_ms + timeout_ms;
  waiting_.push_back({std::move(callback), until_ms});
  if (earliest_deadline_ms_ < 0 || until_ms < earliest_deadline_ms_) {
    earliest_deadline_ms_ = until_ms;
  }
  if (state_ != State::kDown) unsent_.append(command);
}

void NodeLink::connect() {
  const auto endpoint = parse_address(address_);
  if (!endpoint) {
    why_down_ = endpoint.error().message;
    return;
  }
  bool is_connected = false;
  fd_ = begin_connecting(*endpoint, is_connected);
  if (!fd_.valid() || !poller_.add(fd_.get(), token_, {.readable = true, .writable = true})) {
    why_down_ = std::strerror(errno);
    fd_.reset();
    retry_ms_ = steady_ms() + kFirstPauseMs;
    return;
  }
  watched_ = {.readable = true, .writable = true};
  tune_connection(fd_.get(), 0);
  ++generation_;
  state_ = State::kConnecting;
  connect_until_ms_ = steady_ms() + settings_.connect_timeout_ms;
  greet();
}

/// What a node is told before anything else. Its replies are taken off by take_replies().
void NodeLink::greet() {
  greetings_ = 0;
  const auto say = [this](std::initializer_list<std::string_view> words) {
    unsent_ += encode_command(words);
    ++greetings_;
  };
  if (!settings_.password.empty()) {
    say({"AUTH", settings_.user.empty() ? "default" : settings_.user, settings_.password});
  }
  if (version_ == RespVersion::kResp3) say({"HELLO", "3"});
}

void NodeLink::finish_connecting() {
  int error = 0;
  socklen_t size = sizeof error;
  if (::getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
  if (error != 0) return fail_all(std::strerror(error));
  state_ = State::kUp;
  pause_ms_ = 0;
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
      callback({.bytes = bytes});
    }
    input_.consume(bytes.size());
  }
  input_.shrink(kIdleBufferBytes);
}

void NodeLink::fail_all(const std::string& why) {
  if (fd_.valid()) poller_.remove(fd_.get());
  fd_.reset();
  state_ = State::kDown;
  why_down_ = why;
  const std::string reason = why_down_;  // callbacks may make the link fail again
  unsent_.clear();
  sent_ = 0;
  input_.consume(input_.size());
  scanner_ = {};
  pause_ms_ = std::clamp(pause_ms_ * 2, kFirstPauseMs, kLongestPauseMs);
  retry_ms_ = steady_ms() + pause_ms_;
  earliest_deadline_ms_ = -1;
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
    return fail_all("it does not answer");
  }
  if (earliest_deadline_ms_ < 0 || now_ms < earliest_deadline_ms_) return;
  earliest_deadline_ms_ = -1;
  for (const Waiting& waiting : waiting_) {
    if (waiting.until_ms <= now_ms) return fail_all("timed out");
    if (earliest_deadline_ms_ < 0 || waiting.until_ms < earliest_deadline_ms_) {
      earliest_deadline_ms_ = waiting.until_ms;
    }
  }
}

std::int64_t NodeLink::next_tick_ms() const noexcept {
  if (state_ == State::kConnecting) return connect_until_ms_;
  return waiting_.empty() ? -1 : earliest_deadline_ms_;
}

}  // namespace engram::router
