// SPDX-License-Identifier: Apache-2.0
// A server, over a blocking socket.
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "server/hosts/cli/place.h"
#include "server/net/socket.h"
#include "server/net/unique_fd.h"

namespace engram {
namespace {

constexpr std::size_t kReceiveBytes = 64UL * 1024;

std::string with_port(const ServerAddress& address) {
  return address.host + ":" + std::to_string(address.port);
}

class ServerPlace final : public Place {
 public:
  ServerPlace(UniqueFd fd, std::string name) : fd_(std::move(fd)), name_(std::move(name)) {}

  Status send(std::string_view bytes) override {
    while (!bytes.empty()) {
      const ssize_t taken = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (taken < 0 && errno == EINTR) continue;
      if (taken < 0) return lost(std::strerror(errno));
      bytes.remove_prefix(static_cast<std::size_t>(taken));
    }
    return {};
  }

  Status receive(std::string& replies) override {
    const std::size_t before = replies.size();
    replies.resize(before + kReceiveBytes);
    ssize_t got = 0;
    do {
      got = ::recv(fd_.get(), replies.data() + before, kReceiveBytes, 0);
    } while (got < 0 && errno == EINTR);
    const int error = errno;
    replies.resize(before + static_cast<std::size_t>(got > 0 ? got : 0));
    if (got > 0) return {};
    return lost(got == 0 ? "it closed the connection" : std::strerror(error));
  }

  Status end() override { return {}; }
  [[nodiscard]] bool is_directory() const noexcept override { return false; }

 private:
  [[nodiscard]] Status lost(const std::string& reason) const {
    return fail(ErrorCode::kIo, "lost the server at " + name_ + ": " + reason);
  }

  UniqueFd fd_;
  std::string name_;
};

}  // namespace

Result<std::unique_ptr<Place>> open_server_place(const ServerAddress& address) {
  const auto peers = find_peer(address.host, address.port);
  if (!peers) return tl::unexpected(peers.error());
  int error = ECONNREFUSED;
  for (const PeerAddress& peer : *peers) {
    UniqueFd fd = connect_tcp(peer, Connecting::kNow);
    if (fd.valid()) {
      tune_connection(fd.get(), 0);
      return Result<std::unique_ptr<Place>>(
          std::make_unique<ServerPlace>(std::move(fd), with_port(address)));
    }
    error = errno;
  }
  return fail(ErrorCode::kIo, "cannot reach a server at " + with_port(address) + ": " +
                                  std::string(std::strerror(error)));
}

}  // namespace engram
