// SPDX-License-Identifier: Apache-2.0
// A socket and the door behind it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "server/doors/door.h"
#include "server/net/poller.h"
#include "server/net/unique_fd.h"

namespace engram {

/// What a client that connects is to speak.
enum class Protocol : std::uint8_t { kResp, kHttp };

/// Threads: the event loop's only.
class Connection {
 public:
  /// `fd` is a connected, non-blocking socket. `progressed` is called with this connection when it
  /// is to be looked at although its socket tells nothing new.
  Connection(UniqueFd fd, Sessions& sessions, Services& services,
             const std::function<void(Connection&)>& progressed,
             Protocol protocol = Protocol::kResp);

  [[nodiscard]] int fd() const noexcept { return fd_.get(); }
  [[nodiscard]] ClientId id() const noexcept { return door_->session().id(); }
  [[nodiscard]] Client& client() noexcept { return door_->session().client(); }

  /// Takes what has arrived, at most one buffer, without executing anything.
  void receive();
  /// Executes what may be executed now, at most one turn's share.
  void execute() { door_->execute(); }
  /// Sends what the socket takes.
  void send();

  /// Another execute() would get on without a new event.
  [[nodiscard]] bool can_continue() const noexcept { return door_->can_continue(); }
  /// What the poller should watch for now.
  [[nodiscard]] Interest wanted_interest() const noexcept;

  /// It failed, or its end was reached and everything that was due has been sent.
  [[nodiscard]] bool finished() const noexcept { return door_->finished(); }
  /// Whether a finished connection had better stay until its peer has closed: it ends with a
  /// refusal, which the peer would lose if it is sending still. Tells the peer that no more comes;
  /// receive() drops what arrives.
  bool linger();
  [[nodiscard]] bool lingers() const noexcept { return lingers_; }
  /// A transaction runs that has to come to its end, although the connection may be finished.
  [[nodiscard]] bool must_stay() const noexcept { return door_->session().runs_transaction(); }
  void abandon() noexcept { door_->abandon(); }

  /// Nobody waits for anything: neither a command nor the socket.
  [[nodiscard]] bool quiet() const noexcept { return door_->quiet(); }
  /// Gives back the memory of buffers; while it is quiet(). Returns how many bytes.
  std::size_t release_buffers() { return door_->release_buffers(); }

  /// See Door::silent_until_ms().
  [[nodiscard]] std::int64_t silent_until_ms() const { return door_->silent_until_ms(); }

  /// Brings what client() tells up to date.
  void refresh_client() { door_->refresh_client(); }

  Interest watched;         ///< what the poller has been told
  bool is_watched = false;  ///< the poller knows the socket
  bool queued = false;      ///< the server will look at it in this turn

 private:
  void drop_input();

  const UniqueFd fd_;
  Services& services_;
  const std::unique_ptr<Door> door_;
  bool lingers_ = false;
};

}  // namespace engram
