// SPDX-License-Identifier: Apache-2.0
// Which connections a router keeps to the nodes of its cluster.
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <chrono>
#include <string>

#include "server/hosts/router/link_pool.h"
#include "server/net/poller.h"
#include "server/net/unique_fd.h"

namespace engram::router::router_links_test {
namespace {

/// A socket that takes connections, at a port that the system has chosen.
UniqueFd listening() {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(::listen(fd.get(), 1) == 0);
  return fd;
}

int port_of(int fd) {
  sockaddr_in address = {};
  socklen_t size = sizeof address;
  REQUIRE(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  return ntohs(address.sin_port);
}

}  // namespace

TEST_CASE("router: links to nodes that have left are closed once nothing is under way") {
  UniqueFd listener = listening();
  const Address node = "127.0.0.1:" + std::to_string(port_of(listener.get()));
  auto poller = make_epoll_poller();
  REQUIRE(poller);
  const LinkSettings settings;
  LinkPool links(settings, **poller);
  const auto turn = [&] {
    links.flush();
    for (const PollEvent& event : (*poller)->wait(std::chrono::milliseconds(1)))
      links.handle(event);
  };
  const auto tick_without = [&] {
    links.keep_only({});
    links.tick(steady_ms());
  };
  bool is_answered = false;
  links.pick(node, {}).send("*1\r\n$4\r\nPING\r\n", 600'000, [&](const NodeAnswer& answer) {
    is_answered = !answer.is_lost;
    links.keep_only({});  // as the map is learned: within a callback of the link itself
  });
  while (links.count_up() == 0) turn();
  tick_without();
  CHECK(links.count_up() == 1);  // it waits for a reply
  UniqueFd accepted(::accept(listener.get(), nullptr, nullptr));
  REQUIRE(::send(accepted.get(), "+PONG\r\n", 7, MSG_NOSIGNAL) == 7);
  while (!is_answered) turn();
  links.keep_only({node});
  links.tick(steady_ms());
  CHECK(links.count_up() == 1);
  tick_without();
  CHECK(links.count_up() == 0);
  CHECK(!links.node_up());
}

}  // namespace engram::router::router_links_test
