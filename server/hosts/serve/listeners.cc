// SPDX-License-Identifier: Apache-2.0
#include "server/hosts/serve/listeners.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "server/net/socket.h"
#include "server/runtime/log.h"

namespace engram {
namespace {

bool is_among(const std::vector<int>& descriptors, int fd) {
  return std::find(descriptors.begin(), descriptors.end(), fd) != descriptors.end();
}

}  // namespace

Result<int> Listeners::change(const std::vector<std::string>& addresses, int port, int backlog) {
  std::vector<std::string> missing;
  std::vector<int> kept;
  for (const std::string& address : addresses) {
    const auto same = std::find_if(sockets_.begin(), sockets_.end(), [&](const UniqueFd& socket) {
      return overlap_of(address, port, socket.get()) == Overlap::kSame;
    });
    same == sockets_.end() ? missing.push_back(address) : kept.push_back(same->get());
  }
  const auto closed = close_obstacles(missing, port, kept);
  auto opened = open(missing, port, backlog);
  if (opened && opened->empty() && kept.empty()) {
    opened = fail(ErrorCode::kIo, "there is no address to listen on");
  }
  if (!opened) {
    restore(closed, port, backlog);
    return tl::unexpected<Error>(std::move(opened.error()));
  }
  close_except(kept);
  std::move(opened->begin(), opened->end(), std::back_inserter(sockets_));
  return local_port(sockets_.front().get());
}

Result<std::vector<UniqueFd>> Listeners::open(const std::vector<std::string>& addresses, int port,
                                              int backlog) {
  auto opened = listen_tcp_all(addresses, port, backlog);
  if (!opened) return opened;
  for (auto socket = opened->begin(); socket != opened->end(); ++socket) {
    const Status watched =
        poller_.add(socket->get(), token(socket->get()), {.readable = accepting_});
    if (!watched) {
      std::for_each(opened->begin(), socket,
                    [this](const UniqueFd& added) { poller_.remove(added.get()); });
      return tl::unexpected(watched.error());
    }
  }
  for (const UniqueFd& socket : *opened) log_info("listening on " + local_name(socket.get()));
  return opened;
}

/// Closes the sockets beside which one of `addresses` cannot be bound, unless they are `kept`, and
/// returns where they were.
std::vector<std::string> Listeners::close_obstacles(const std::vector<std::string>& addresses,
                                                    int port, const std::vector<int>& kept) {
  std::vector<std::string> closed;
  std::vector<int> others;
  for (const UniqueFd& socket : sockets_) {
    const bool obstructs =
        !is_among(kept, socket.get()) &&
        std::any_of(addresses.begin(), addresses.end(), [&](const std::string& address) {
          return overlap_of(address, port, socket.get()) == Overlap::kConflict;
        });
    obstructs ? closed.push_back(local_address(socket.get())) : others.push_back(socket.get());
  }
  close_except(others);
  return closed;
}

void Listeners::restore(const std::vector<std::string>& addresses, int port, int backlog) {
  auto reopened = open(addresses, port, backlog);
  if (!reopened) {
    // Somebody else took the port in between.
    return log_error("a former address is lost: " + reopened.error().message);
  }
  std::move(reopened->begin(), reopened->end(), std::back_inserter(sockets_));
}

void Listeners::close_except(const std::vector<int>& kept) {
  std::erase_if(sockets_, [&](const UniqueFd& socket) {
    if (is_among(kept, socket.get())) return false;
    poller_.remove(socket.get());
    return true;
  });
}

void Listeners::set_accepting(bool accepting) {
  accepting_ = accepting;
  for (const UniqueFd& socket : sockets_) {
    poller_.modify(socket.get(), token(socket.get()), {.readable = accepting});
  }
}

bool Listeners::contains(int fd) const noexcept {
  return std::any_of(sockets_.begin(), sockets_.end(),
                     [fd](const UniqueFd& socket) { return socket.get() == fd; });
}

bool Listeners::reach_beyond_loopback() const {
  return !std::all_of(sockets_.begin(), sockets_.end(),
                      [](const UniqueFd& socket) { return is_bound_to_loopback(socket.get()); });
}

void Listeners::clear() {
  close_except({});
}

}  // namespace engram
