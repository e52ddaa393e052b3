// SPDX-License-Identifier: Apache-2.0
// A server, over a blocking socket.
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "server/hosts/cli/place.h"
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

struct FreeAddresses {
  void operator()(addrinfo* list) const noexcept { ::freeaddrinfo(list); }
};

}  // namespace

Result<std::unique_ptr<Place>> open_server_place(const ServerAddress& address) {
  addrinfo wanted{};
  wanted.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  const std::string port = std::to_string(address.port);
  if (const int found = ::getaddrinfo(address.host.c_str(), port.c_str(), &wanted, &list)) {
    return fail(ErrorCode::kIo,
                "cannot find the host " + address.host + ": " + ::gai_strerror(found));
  }
  const std::unique_ptr<addrinfo, FreeAddresses> owner(list);
  int error = ECONNREFUSED;
  for (const addrinfo* one = list; one != nullptr; one = one->ai_next) {
    UniqueFd fd(::socket(one->ai_family, SOCK_STREAM | SOCK_CLOEXEC, one->ai_protocol));
    if (fd.valid() && ::connect(fd.get(), one->ai_addr, one->ai_addrlen) == 0) {
      const int on = 1;
      ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      return Result<std::unique_ptr<Place>>(
          std::make_unique<ServerPlace>(std::move(fd), with_port(address)));
    }
    error = errno;
  }
  return fail(ErrorCode::kIo, "cannot reach a server at " + with_port(address) + ": " +
                                  std::string(std::strerror(error)));
}

}  // namespace engram
