// SPDX-License-Identifier: Apache-2.0
#include "server/hosts/serve/service_manager.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string>

#include "server/net/unique_fd.h"
#include "server/runtime/log.h"

namespace engram {
namespace {

/// 0, or why not.
int send_to(std::string_view name, std::string_view datagram) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (name.size() >= sizeof address.sun_path) return ENAMETOOLONG;
  name.copy(address.sun_path, name.size());
  if (name.front() == '@') address.sun_path[0] = '\0';  // it is in no file system
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
  const UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (fd.get() < 0) return errno;
  const ssize_t sent = ::sendto(fd.get(), datagram.data(), datagram.size(), MSG_NOSIGNAL,
                                reinterpret_cast<const sockaddr*>(&address), size);
  return sent < 0 ? errno : 0;
}

}  // namespace

void tell_service_manager(std::string_view state) {
  const char* const name = std::getenv("NOTIFY_SOCKET");
  if (name == nullptr || *name == '\0') return;
  if (const int error = send_to(name, state); error != 0) {
    log_warning("cannot tell the service manager at " + std::string(name) + " " +
                std::string(state) + ": " + std::strerror(error));
  }
}

}  // namespace engram
