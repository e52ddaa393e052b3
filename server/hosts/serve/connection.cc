// SPDX-License-Identifier: Apache-2.0
#include "server/hosts/serve/connection.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <string>
#include <utility>

#include "server/doors/http/http_door.h"
#include "server/doors/resp/resp_door.h"
#include "server/net/socket.h"

namespace engram {
namespace {

std::unique_ptr<Door> make_door(Protocol protocol, Sessions& sessions, Services& services,
                                std::function<void()> progressed) {
  if (protocol == Protocol::kHttp) {
    return std::make_unique<HttpDoor>(sessions, services, std::move(progressed));
  }
  return std::make_unique<RespDoor>(sessions, services, std::move(progressed));
}

}  // namespace

Connection::Connection(UniqueFd fd, Sessions& sessions, Services& services,
                       const std::function<void(Connection&)>& progressed, Protocol protocol)
    : fd_(std::move(fd)),
      services_(services),
      door_(make_door(protocol, sessions, services, [this, progressed] { progressed(*this); })) {
  client().fd = fd_.get();
  client().address = peer_name(fd_.get());
  client().local_address = local_name(fd_.get());
}

void Connection::receive() {
  if (lingers_) return drop_input();
  if (!door_->takes_input()) return;
  const std::span<char> room = door_->input_room();
  if (room.empty()) return door_->refuse_input();
  const ssize_t got = ::recv(fd_.get(), room.data(), room.size(), 0);
  if (got < 0) {
    if (errno != EAGAIN && errno != EINTR) abandon();
    return;
  }
  if (got == 0) door_->end_input();
  door_->add_input(static_cast<std::size_t>(got));
  services_.stats.input_bytes += static_cast<std::uint64_t>(got);
  client().active_ms = services_.store.keyspace().now_ms();
}

bool Connection::linger() {
  if (!client().is_heard_out || door_->is_abandoned() || door_->input_has_ended()) return false;
  if (!std::exchange(lingers_, true)) ::shutdown(fd_.get(), SHUT_WR);
  return true;
}

void Connection::drop_input() {
  constexpr int kPiecesPerTurn = 16;
  std::array<char, 64UL * 1024> piece;
  for (int i = 0; i < kPiecesPerTurn; ++i) {
    const ssize_t got = ::recv(fd_.get(), piece.data(), piece.size(), 0);
    if (got == 0) door_->end_input();
    if (got < 0 && errno != EAGAIN && errno != EINTR) abandon();
    if (got <= 0) return;
  }
}

void Connection::send() {
  while (!door_->unsent().empty() && !door_->is_abandoned()) {
    const std::string_view bytes = door_->unsent();
    const ssize_t taken = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (taken < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN) abandon();
      break;
    }
    door_->mark_sent(static_cast<std::size_t>(taken));
    services_.stats.output_bytes += static_cast<std::uint64_t>(taken);
  }
}

Interest Connection::wanted_interest() const noexcept {
  return {.readable = lingers_ || door_->wants_input(), .writable = !door_->unsent().empty()};
}

}  // namespace engram
