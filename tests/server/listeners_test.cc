// SPDX-License-Identifier: Apache-2.0
#include "server/hosts/serve/listeners.h"

#include <doctest/doctest.h>

#include <chrono>
#include <memory>
#include <string>

#include "server/net/socket.h"
#include "tests/support/resp_client.h"

namespace engram::listeners_test {
namespace {

constexpr int kBacklog = 16;

class Fixture {
 public:
  Fixture() { port = *listeners.change({"127.0.0.1"}, 0, kBacklog); }

  /// The sockets in which a connection waits.
  std::vector<int> waiting() {
    std::vector<int> found;
    for (const PollEvent& event : poller->wait(std::chrono::milliseconds(0))) {
      found.push_back(Listeners::descriptor(event.token));
    }
    return found;
  }
  /// Takes the connection that waits.
  bool accept() {
    const auto sockets = waiting();
    UniqueFd connection;
    return sockets.size() == 1 && listeners.contains(sockets[0]) &&
           accept_tcp(sockets[0], connection) == AcceptResult::kAccepted;
  }
  [[nodiscard]] bool reachable() const { return test::RespClient(port).connected(); }

  std::unique_ptr<Poller> poller = std::move(*make_epoll_poller());
  Listeners listeners{*poller};
  int port = 0;
};

TEST_CASE_FIXTURE(Fixture, "hosts/listeners: who waits survives a change that is refused") {
  const test::RespClient client(port);
  CHECK_FALSE(listeners.change({"203.0.113.1"}, port, kBacklog));
  CHECK_FALSE(listeners.change({"127.0.0.1", "203.0.113.1"}, port, kBacklog));
  const UniqueFd taken = std::move(*listen_tcp("127.0.0.1", 0, 1));
  CHECK_FALSE(listeners.change({"127.0.0.1"}, local_port(taken.get()), kBacklog));
  CHECK(accept());
}

TEST_CASE_FIXTURE(Fixture, "hosts/listeners: who waits at an address that stays is kept") {
  const test::RespClient client(port);
  CHECK(listeners.change({"127.0.0.2", "127.0.0.1", "-203.0.113.1"}, port, kBacklog) == port);
  CHECK(accept());
  CHECK(listeners.change({"127.0.0.2"}, port, kBacklog) == port);
  CHECK_FALSE(reachable());
}

TEST_CASE_FIXTURE(Fixture, "hosts/listeners: a wildcard takes the place of an address, and back") {
  CHECK(listeners.change({"*"}, port, kBacklog) == port);
  CHECK(reachable());
  CHECK(listeners.change({"127.0.0.1"}, port, kBacklog) == port);
  CHECK(reachable());
  // The address goes first and is listened on again after the refusal.
  CHECK_FALSE(listeners.change({"0.0.0.0", "203.0.113.1"}, port, kBacklog));
  CHECK(reachable());
}

TEST_CASE_FIXTURE(Fixture, "hosts/listeners: a pause holds for new sockets too") {
  listeners.set_accepting(false);
  CHECK(listeners.change({"127.0.0.1", "127.0.0.2"}, port, kBacklog));
  const test::RespClient client(port);
  CHECK(waiting().empty());
  listeners.set_accepting(true);
  CHECK(accept());
}

TEST_CASE_FIXTURE(Fixture, "hosts/listeners: without any address nothing changes") {
  CHECK_FALSE(listeners.change({"-203.0.113.1"}, port, kBacklog));
  CHECK(reachable());
}

}  // namespace
}  // namespace engram::listeners_test
