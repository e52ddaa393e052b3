// SPDX-License-Identifier: Apache-2.0
// The sockets that a server listens on, and how they are exchanged for others while it runs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/result.h"
#include "server/net/poller.h"
#include "server/net/unique_fd.h"

namespace engram {

/// Threads: the event loop's only.
class Listeners {
 public:
  /// `poller` must live longer.
  explicit Listeners(Poller& poller) noexcept : poller_(poller) {}

  /// A listener's token of the poller; clients' have the top bit clear.
  static std::uint64_t token(int fd) noexcept { return kTokenBit | static_cast<unsigned>(fd); }
  static bool is_token(std::uint64_t token) noexcept { return (token & kTokenBit) != 0; }
  static int descriptor(std::uint64_t token) noexcept {
    return static_cast<int>(token & ~kTokenBit);
  }

  /// Listens on `addresses` (see listen_tcp_all()) at `port` and nowhere else, and returns the
  /// port. A socket that is among them already stays, with the connections that wait in it, and the
  /// others are closed once the new ones are open; but first if the system would refuse a new one
  /// beside them, as it does a wildcard beside an address of the same port. Errors: kIo; then the
  /// sockets are those of before.
  Result<int> change(const std::vector<std::string>& addresses, int port, int backlog);

  /// Whether waiting connections are told to the loop.
  void set_accepting(bool accepting);
  [[nodiscard]] bool accepting() const noexcept { return accepting_; }

  /// Whether `fd` is one of the sockets.
  [[nodiscard]] bool contains(int fd) const noexcept;

  /// Other computers can connect.
  [[nodiscard]] bool reach_beyond_loopback() const;

  /// Closes all.
  void clear();

 private:
  static constexpr std::uint64_t kTokenBit = std::uint64_t{1} << 63;

  Result<std::vector<UniqueFd>> open(const std::vector<std::string>& addresses, int port,
                                     int backlog);
  std::vector<std::string> close_obstacles(const std::vector<std::string>& addresses, int port,
                                           const std::vector<int>& kept);
  void restore(const std::vector<std::string>& addresses, int port, int backlog);
  void close_except(const std::vector<int>& kept);

  Poller& poller_;
  std::vector<UniqueFd> sockets_;
  bool accepting_ = true;
};

}  // namespace engram
