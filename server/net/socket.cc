// SPDX-License-Identifier: Apache-2.0
#include "server/net/socket.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

namespace engram {
namespace {

using AddressList = std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)>;

/// `host` null: this one. Errors: the system's reason alone.
Result<AddressList> look_up(const char* host, int port, int family, int flags) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags | AI_NUMERICSERV;
  hints.ai_family = family;
  addrinfo* found = nullptr;
  if (const int error = ::getaddrinfo(host, std::to_string(port).c_str(), &hints, &found);
      error != 0) {
    return fail(ErrorCode::kIo, ::gai_strerror(error));
  }
  return AddressList(found, &::freeaddrinfo);
}

Result<AddressList> resolve(const std::string& address, int port) {
  const int family = address == "*" ? AF_INET : address == "::*" ? AF_INET6 : AF_UNSPEC;
  auto found = look_up(family == AF_UNSPEC ? address.c_str() : nullptr, port, family, AI_PASSIVE);
  if (found) return found;
  return fail(ErrorCode::kIo, "cannot resolve '" + address + "': " + found.error().message);
}

void set_option(int fd, int level, int option, int value) {
  // Every option set here is an optimization or a courtesy; the connection works without it.
  [[maybe_unused]] const int result = ::setsockopt(fd, level, option, &value, sizeof value);
}

UniqueFd bind_and_listen(const addrinfo& where, int backlog) {
  UniqueFd fd(::socket(where.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return fd;
  set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  // "::" must not also claim the IPv4 port, which may be bound separately.
  if (where.ai_family == AF_INET6) set_option(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, 1);
  if (::bind(fd.get(), where.ai_addr, where.ai_addrlen) != 0 || ::listen(fd.get(), backlog) != 0) {
    const int error = errno;
    fd.reset();
    errno = error;
  }
  return fd;
}

bool is_loopback(const sockaddr_storage& address) {
  constexpr std::uint32_t kLoopbackNetwork = 127;
  const auto is_loopback_ip = [](std::uint32_t ip) { return ntohl(ip) >> 24 == kLoopbackNetwork; };
  if (address.ss_family == AF_INET) {
    return is_loopback_ip(reinterpret_cast<const sockaddr_in&>(address).sin_addr.s_addr);
  }
  if (address.ss_family != AF_INET6) return address.ss_family == AF_UNIX;
  const in6_addr& ip = reinterpret_cast<const sockaddr_in6&>(address).sin6_addr;
  if (!IN6_IS_ADDR_V4MAPPED(&ip)) return IN6_IS_ADDR_LOOPBACK(&ip);
  std::uint32_t mapped = 0;
  std::memcpy(&mapped, ip.s6_addr + 12, sizeof mapped);
  return is_loopback_ip(mapped);
}

std::string describe(const sockaddr_storage& address) {
  char ip[INET6_ADDRSTRLEN] = "";
  if (address.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
    ::inet_ntop(AF_INET6, &v6.sin6_addr, ip, sizeof ip);
    return "[" + std::string(ip) + "]:" + std::to_string(ntohs(v6.sin6_port));
  }
  const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
  ::inet_ntop(AF_INET, &v4.sin_addr, ip, sizeof ip);
  return std::string(ip) + ":" + std::to_string(ntohs(v4.sin_port));
}

bool is_optional(const std::string& address) {
  return address.starts_with('-');
}

std::string required_part(const std::string& address) {
  return is_optional(address) ? address.substr(1) : address;
}

/// The bytes of an IPv4 or IPv6 address without the port.
std::string_view host_bytes(const sockaddr_storage& address) {
  if (address.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
    return {reinterpret_cast<const char*>(&v6.sin6_addr), sizeof v6.sin6_addr};
  }
  const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
  return {reinterpret_cast<const char*>(&v4.sin_addr), sizeof v4.sin_addr};
}

bool is_wildcard(const sockaddr_storage& address) {
  return host_bytes(address).find_first_not_of('\0') == std::string_view::npos;
}

// The port is at the same place under both families.
int port_of(const sockaddr_storage& address) {
  return ntohs(reinterpret_cast<const sockaddr_in&>(address).sin_port);
}

Overlap compare(const sockaddr_storage& a, const sockaddr_storage& b) {
  if (a.ss_family != b.ss_family || port_of(a) != port_of(b)) return Overlap::kNone;
  if (host_bytes(a) == host_bytes(b)) return Overlap::kSame;
  return is_wildcard(a) || is_wildcard(b) ? Overlap::kConflict : Overlap::kNone;
}

template <class Query>
sockaddr_storage name_of(int fd, Query query) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  [[maybe_unused]] const int result = query(fd, reinterpret_cast<sockaddr*>(&address), &length);
  return address;
}

}  // namespace

Result<UniqueFd> listen_tcp(const std::string& address, int port, int backlog) {
  auto addresses = resolve(address, port);
  if (!addresses) return tl::unexpected<Error>(std::move(addresses.error()));
  errno = 0;
  for (const addrinfo* where = addresses->get(); where != nullptr; where = where->ai_next) {
    UniqueFd fd = bind_and_listen(*where, backlog);
    if (fd.valid()) return fd;
  }
  return fail(ErrorCode::kIo, "cannot listen on " + address + " port " + std::to_string(port) +
                                  ": " + std::strerror(errno));
}

Result<std::vector<UniqueFd>> listen_tcp_all(const std::vector<std::string>& addresses, int port,
                                             int backlog) {
  std::vector<UniqueFd> listeners;
  for (const std::string& address : addresses) {
    auto listener = listen_tcp(required_part(address), port, backlog);
    if (!listener) {
      if (is_optional(address)) continue;
      return tl::unexpected<Error>(std::move(listener.error()));
    }
    listeners.push_back(std::move(*listener));
    if (port == 0) port = local_port(listeners.front().get());
  }
  return listeners;
}

Overlap overlap_of(const std::string& address, int port, int listener) {
  const auto wanted = resolve(required_part(address), port);
  if (!wanted) return Overlap::kNone;
  const sockaddr_storage present = name_of(listener, ::getsockname);
  for (const addrinfo* where = wanted->get(); where != nullptr; where = where->ai_next) {
    sockaddr_storage candidate{};
    std::memcpy(&candidate, where->ai_addr, where->ai_addrlen);
    if (const Overlap overlap = compare(candidate, present); overlap != Overlap::kNone) {
      return overlap;
    }
  }
  return Overlap::kNone;
}

Result<std::vector<PeerAddress>> find_peer(const std::string& host, int port) {
  const auto found = look_up(host.c_str(), port, AF_UNSPEC, 0);
  if (!found) {
    return fail(ErrorCode::kIo, "cannot find the host " + host + ": " + found.error().message);
  }
  std::vector<PeerAddress> peers;
  for (const addrinfo* one = found->get(); one != nullptr; one = one->ai_next) {
    PeerAddress& peer = peers.emplace_back();
    std::memcpy(&peer.address, one->ai_addr, one->ai_addrlen);
    peer.size = one->ai_addrlen;
  }
  return peers;
}

UniqueFd connect_tcp(const PeerAddress& peer, Connecting when) {
  const int flags = SOCK_STREAM | SOCK_CLOEXEC | (when == Connecting::kLater ? SOCK_NONBLOCK : 0);
  UniqueFd fd(::socket(peer.address.ss_family, flags, 0));
  if (!fd.valid()) return fd;
  const auto* const address = reinterpret_cast<const sockaddr*>(&peer.address);
  if (::connect(fd.get(), address, peer.size) != 0 && errno != EINPROGRESS) {
    const int error = errno;
    fd.reset();
    errno = error;
  }
  return fd;
}

int local_port(int fd) {
  return port_of(name_of(fd, ::getsockname));
}

std::string local_address(int fd) {
  const sockaddr_storage address = name_of(fd, ::getsockname);
  char host[NI_MAXHOST] = "";
  // Unlike inet_ntop() it tells the interface of a link-local address.
  [[maybe_unused]] const int result =
      ::getnameinfo(reinterpret_cast<const sockaddr*>(&address), sizeof address, host, sizeof host,
                    nullptr, 0, NI_NUMERICHOST);
  return host;
}

std::string local_name(int fd) {
  return describe(name_of(fd, ::getsockname));
}

std::string peer_name(int fd) {
  return describe(name_of(fd, ::getpeername));
}

bool is_peer_local(int fd) {
  return is_loopback(name_of(fd, ::getpeername));
}

bool is_bound_to_loopback(int fd) {
  return is_loopback(name_of(fd, ::getsockname));
}

AcceptResult accept_tcp(int listener, UniqueFd& connection) {
  for (;;) {
    connection.reset(::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (connection.valid()) return AcceptResult::kAccepted;
    switch (errno) {
      case EAGAIN:
        return AcceptResult::kNoneWaiting;
      case EMFILE:
      case ENFILE:
      case ENOBUFS:
      case ENOMEM:
        return AcceptResult::kOutOfDescriptors;
      case EINTR:
      case ECONNABORTED:
      case ENETDOWN:
      case EPROTO:
      case ENOPROTOOPT:
      case EHOSTDOWN:
      case ENONET:
      case EHOSTUNREACH:
      case EOPNOTSUPP:
      case ENETUNREACH:
      case ETIMEDOUT:
      case EPERM:
        // A signal came, or the connection died before it was taken: there may be another one.
        continue;
      default:
        return AcceptResult::kFailed;
    }
  }
}

void tune_connection(int fd, int keepalive_s) {
  set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  if (keepalive_s <= 0) return;
  // Three unanswered probes, a third of the interval apart, end the connection.
  set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, keepalive_s);
  set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, std::max(1, keepalive_s / 3));
  set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
}

}  // namespace engram
