// SPDX-License-Identifier: Apache-2.0
// One pipelined connection to a node: commands out, replies in, in the same order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "server/hosts/router/slot_map.h"
#include "server/net/byte_buffer.h"
#include "server/net/poller.h"
#include "server/net/socket.h"
#include "server/net/unique_fd.h"
#include "server/resp/reply_writer.h"

namespace engram::router {

/// Of a clock that never goes back.
std::int64_t steady_us();
inline std::int64_t steady_ms() {
  return steady_us() / 1000;
}

/// What a command came to.
struct NodeAnswer {
  bool is_lost = false;   ///< there will be no reply; whether the command was done is not known
  bool was_sent = false;  ///< of a lost one: the node may have got it
  std::string_view bytes =
      {};  ///< the reply, as it came; or why it is lost. Until the call returns
};

/// What is the same for all links of a router.
struct LinkSettings {
  std::string user;      ///< for AUTH; empty: that of requirepass
  std::string password;  ///< empty: nodes ask for none
  int connect_timeout_ms = 1000;
};

/// What a link is for. kWaiting: writes that wait for replicas, which keep a connection waiting.
/// kReplica: reads that a replica is to answer, not to pass on to its master.
enum class LinkUse : std::uint8_t { kPlain, kWaiting, kReplica };

struct LinkKind {
  RespVersion version = RespVersion::kResp2;
  LinkUse use = LinkUse::kPlain;

  friend bool operator==(const LinkKind&, const LinkKind&) = default;
  friend bool operator<(const LinkKind& a, const LinkKind& b) {
    return std::tie(a.version, a.use) < std::tie(b.version, b.use);
  }
};

/// Connects when there is something to send, to the first address of the node that takes it, and
/// after a failure not again before a pause that doubles, from 50 ms to a second. Threads: the
/// event loop's only.
class NodeLink {
 public:
  using Callback = std::function<void(const NodeAnswer&)>;

  /// `settings` and `poller`, in which the link's socket has `token`, live longer.
  NodeLink(Address address, LinkKind kind, const LinkSettings& settings, Poller& poller,
           std::uint64_t token);
  NodeLink(const NodeLink&) = delete;
  NodeLink& operator=(const NodeLink&) = delete;
  ~NodeLink();

  [[nodiscard]] const Address& address() const noexcept { return address_; }
  [[nodiscard]] std::uint64_t token() const noexcept { return token_; }
  [[nodiscard]] bool is_up() const noexcept { return state_ == State::kUp; }
  /// Neither up nor about to be.
  [[nodiscard]] bool is_down() const noexcept { return state_ == State::kDown; }
  /// Whether it is down and does not try again yet: what is sent now fails.
  [[nodiscard]] bool is_resting() const noexcept { return is_down() && !may_connect(); }
  /// Counts connections: what was sent in another generation has left no trace in this one.
  [[nodiscard]] std::uint64_t generation() const noexcept { return generation_; }
  [[nodiscard]] std::size_t in_flight() const noexcept { return waiting_.size(); }

  /// Sends one encoded command with the next flush(). The callback is called once, never from
  /// within send(): with the reply; or lost, if the node has let `timeout_ms` pass since it
  /// answered the command before this one, with which the connection ends for all that are behind.
  void send(std::string_view command, int timeout_ms, Callback callback);
  /// Sends what the socket takes.
  void flush();
  /// The poller has told of the socket.
  void handle(const PollEvent& event);
  /// Gives up what has waited for too long, or cannot be sent.
  void tick(std::int64_t now_ms);
  /// Nobody has looked for so long: what has come meanwhile is not late.
  void postpone(std::int64_t ms) noexcept {
    until_ms_ += ms;
    connect_until_ms_ += ms;
  }
  /// When tick() has something to do; negative: never.
  [[nodiscard]] std::int64_t next_tick_ms() const noexcept;

 private:
  enum class State : std::uint8_t { kDown, kConnecting, kUp };
  struct Waiting {
    Callback callback;
    int timeout_ms;
  };

  /// Not while commands that it could not send wait to be told so.
  bool may_connect() const noexcept {
    return is_down() && waiting_.empty() && steady_ms() >= retry_ms_;
  }
  void connect();
  bool connect_to_next();
  void greet();
  void finish_connecting();
  void receive();
  void take_replies();
  void fail_all(const std::string& why);
  void close_socket();
  void start_clock();
  void watch();

  const Address address_;
  const LinkKind kind_;
  const LinkSettings& settings_;
  Poller& poller_;
  const std::uint64_t token_;
  State state_ = State::kDown;
  UniqueFd fd_;
  std::vector<PeerAddress> untried_;  // addresses of the node, the next one last
  Interest watched_;
  std::string unsent_;
  std::size_t sent_ = 0;  // of unsent_
  bool has_sent_ = false;
  ByteBuffer input_;
  ReplyScanner scanner_;
  std::deque<Waiting> waiting_;
  std::size_t greetings_ = 0;  // replies that nobody asked for come first
  std::int64_t until_ms_ = 0;  // of the first that waits, while the link is up
  std::int64_t retry_ms_ = 0;
  std::int64_t pause_ms_ = 0;
  std::int64_t connect_until_ms_ = 0;
  std::uint64_t generation_ = 0;
  std::string why_down_;
};

}  // namespace engram::router
