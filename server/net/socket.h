// SPDX-License-Identifier: Apache-2.0
// TCP sockets: IPv4 and IPv6, non-blocking, closed on exec.
#pragma once

#include <sys/socket.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "server/net/unique_fd.h"

namespace engram {

/// Listens on `address` ("127.0.0.1", "::1", "*" for every IPv4 address, "::*" for every IPv6
/// address, a host name). Port 0 lets the kernel choose; see local_port(). Errors: kIo with the
/// system's reason.
Result<UniqueFd> listen_tcp(const std::string& address, int port, int backlog);

/// Listens on each address. One that starts with '-' may be unavailable on this machine and is then
/// passed over, as in redis.conf, so there may be no socket. With port 0 all share the port that
/// the first one got.
Result<std::vector<UniqueFd>> listen_tcp_all(const std::vector<std::string>& addresses, int port,
                                             int backlog);

/// Where a host listens.
struct PeerAddress {
  sockaddr_storage address = {};
  socklen_t size = 0;
};

/// The addresses of a host, in the order in which they are to be tried: a name may have several,
/// not all of which are listened on. Looks names up, which may take a while. Errors: kIo.
Result<std::vector<PeerAddress>> find_peer(const std::string& host, int port);

/// How a connection is made. kLater: the socket is non-blocking, and becomes writable when that has
/// succeeded or failed, which SO_ERROR tells.
enum class Connecting { kNow, kLater };

/// A socket that is connected, or (kLater) will be; or an invalid one, and errno.
UniqueFd connect_tcp(const PeerAddress& peer, Connecting when);

/// How `address` at `port` relates to a socket that listens. kConflict: the system lets the one be
/// bound only without the other, since one of them is a wildcard that covers the other.
enum class Overlap { kNone, kSame, kConflict };
Overlap overlap_of(const std::string& address, int port, int listener);

[[nodiscard]] int local_port(int fd);
/// The numeric address alone, as listen_tcp() takes it.
[[nodiscard]] std::string local_address(int fd);

/// "ip:port", or "[ip]:port" under IPv6.
[[nodiscard]] std::string local_name(int fd);
[[nodiscard]] std::string peer_name(int fd);

/// Whether the peer, or the socket itself, has a loopback address.
[[nodiscard]] bool is_peer_local(int fd);
[[nodiscard]] bool is_bound_to_loopback(int fd);

/// After kFailed errno tells why.
enum class AcceptResult { kAccepted, kNoneWaiting, kOutOfDescriptors, kFailed };

/// Takes one waiting connection. What failed on the peer's side is passed over.
AcceptResult accept_tcp(int listener, UniqueFd& connection);

/// No Nagle delay: replies leave when the loop says so. `keepalive_s` 0 leaves dead peers
/// undetected.
void tune_connection(int fd, int keepalive_s);

}  // namespace engram
