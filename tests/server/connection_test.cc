// SPDX-License-Identifier: Apache-2.0
// A connection over a socket pair, with commands whose replies the test gives when it wants to.
#include "server/hosts/serve/connection.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>

#include <array>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "server/commands/families.h"
#include "server/commands/table.h"
#include "server/config/config.h"
#include "server/engine/store.h"
#include "server/metrics/server_stats.h"
#include "tests/support/seed.h"

namespace engram::connection_test {
namespace {

/// The promises that the commands of this test have made, by their argument.
std::map<std::string, Deferred> promises;

void promise(CommandContext& context) {
  promises.emplace(std::string(context.argv[1]), context.defer());
}

void promise_much(CommandContext& context) {
  promises.emplace(std::string(context.argv[1]), context.defer(600'000));
}

constexpr std::array kTestCommands = {
    CommandSpec{
        .name = "slowread", .handler = promise, .arity = 2, .flags = command_flag::kReadonly},
    CommandSpec{
        .name = "bigread", .handler = promise_much, .arity = 2, .flags = command_flag::kReadonly},
    CommandSpec{.name = "slowwrite", .handler = promise, .arity = 2, .flags = command_flag::kWrite},
};

class Fixture : public FrontEnd, private StoreLoop {
 public:
  Fixture() {
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
    peer = UniqueFd(ends[0]);
    connection.emplace(UniqueFd(ends[1]), sessions, services, [](Connection&) {});
  }
  ~Fixture() override { promises.clear(); }

  /// One turn of the loop after `bytes` have arrived.
  void type(std::string_view bytes) {
    REQUIRE(::send(peer.get(), bytes.data(), bytes.size(), 0) ==
            static_cast<ssize_t>(bytes.size()));
    connection->receive();
    turn();
  }
  void turn() {
    do {
      connection->execute();
      connection->send();
    } while (connection->can_continue());
  }

  /// What the client has been sent since the last call.
  std::string replies() {
    std::string all;
    std::array<char, 65536> chunk;
    for (ssize_t got = 0; (got = ::recv(peer.get(), chunk.data(), chunk.size(), 0)) > 0;) {
      all.append(chunk.data(), static_cast<std::size_t>(got));
    }
    return all;
  }

  void keep(const std::string& name) {
    promises.at(name).reply([&](ReplyWriter& writer) { writer.simple(name); });
    promises.erase(name);
    turn();
  }
  [[nodiscard]] static bool started(const std::string& name) { return promises.contains(name); }

  void for_each_client(const std::function<void(Client&)>&) override {}
  [[nodiscard]] std::size_t client_count() const override { return 1; }
  void refresh_client(ClientId) override {}
  void close_client(ClientId) override {}
  Result<int> listen(const std::vector<std::string>&, int port) override { return port; }
  void request_shutdown() override {}
  void wake() override {}
  void wait() override {}

  std::unique_ptr<Store> store = std::move(*Store::open({.workers = 1}, *this));
  ServerConfig config;
  ServerStats stats;
  const std::array<std::span<const CommandSpec>, 4> families = {
      std::span<const CommandSpec>(kTestCommands), connection_commands(), string_commands(),
      client_commands()};
  CommandTable table{families};
  Sessions sessions{*store, stats};
  Services services{*store, config, stats, *this, sessions, sessions, table};
  UniqueFd peer;
  std::optional<Connection> connection;
};

TEST_CASE_FIXTURE(Fixture, "hosts/connection: neighbours of a kind run together, in order") {
  type("slowread a\r\nslowread b\r\nping\r\nslowread c\r\n");
  CHECK(started("a"));
  CHECK(started("b"));
  CHECK(started("c"));
  keep("b");
  CHECK(replies().empty());
  keep("a");
  CHECK(replies() == "+a\r\n+b\r\n+PONG\r\n");
  keep("c");
  CHECK(replies() == "+c\r\n");
}

TEST_CASE_FIXTURE(Fixture, "hosts/connection: a change of kind waits for what is in flight") {
  type("slowwrite w1\r\nslowwrite w2\r\nslowread r\r\nslowwrite w3\r\nset k v\r\nget k\r\n");
  CHECK(started("w2"));
  CHECK_FALSE(started("r"));
  keep("w2");
  CHECK_FALSE(started("r"));
  keep("w1");
  REQUIRE(started("r"));
  CHECK_FALSE(started("w3"));
  keep("r");
  REQUIRE(started("w3"));
  CHECK(store->keyspace().contains("k"));  // a write beside a write
  keep("w3");
  CHECK(replies() == "+w1\r\n+w2\r\n+r\r\n+w3\r\n+OK\r\n$1\r\nv\r\n");
}

TEST_CASE_FIXTURE(Fixture, "hosts/connection: any order of completion gives the order sent") {
  auto rng = test::make_rng(7);
  for (int round = 0; round < 50; ++round) {
    std::string stream;
    std::string expected;
    const int commands = 200;
    for (int i = 0; i < commands; ++i) {
      const std::string name = std::to_string(i);
      switch (rng() % 4) {
        case 0:
          stream += "slowread " + name + "\r\n";
          expected += "+" + name + "\r\n";
          break;
        case 1:
          stream += "slowwrite " + name + "\r\n";
          expected += "+" + name + "\r\n";
          break;
        case 2:
          stream += "echo " + name + "\r\n";
          expected += "$" + std::to_string(name.size()) + "\r\n" + name + "\r\n";
          break;
        default:
          stream += "nosuch\r\n";
          expected += "-ERR unknown command 'nosuch', with args beginning with: \r\n";
      }
    }
    type(stream);
    std::string got = replies();
    while (!promises.empty()) {
      auto chosen = promises.begin();
      std::advance(chosen, static_cast<std::ptrdiff_t>(rng() % promises.size()));
      keep(std::string(chosen->first));
      got += replies();
    }
    REQUIRE(got == expected);
  }
}

TEST_CASE_FIXTURE(Fixture, "hosts/connection: a promise that is dropped answers an error") {
  type("slowread a\r\nping\r\n");
  promises.clear();
  turn();
  CHECK(replies() == "-ERR the command was abandoned unanswered\r\n+PONG\r\n");
}

TEST_CASE_FIXTURE(Fixture, "hosts/connection: replies speak the protocol of their command") {
  type("slowread a\r\nhello 3\r\nget none\r\n");
  promises.at("a").reply([](ReplyWriter& writer) { writer.null(); });
  turn();
  const std::string got = replies();
  CHECK(got.starts_with("$-1\r\n%7\r\n"));
  CHECK(got.ends_with("_\r\n"));
  type("hello bogus\r\nget none\r\n");
  CHECK(replies().ends_with("range\r\n_\r\n"));
}

TEST_CASE_FIXTURE(Fixture, "hosts/connection: CLIENT REPLY mutes, deferred replies too") {
  type("client reply skip\r\nslowread a\r\nslowread b\r\n");
  keep("a");
  keep("b");
  CHECK(replies() == "+b\r\n");
  type("client reply off\r\nping\r\nslowread c\r\nnosuch\r\nclient reply on\r\nping\r\n");
  CHECK(replies().empty());  // c is due before the answer of REPLY ON
  keep("c");
  CHECK(replies() == "+OK\r\n+PONG\r\n");
  type("client reply skip\r\nclient reply skip\r\nping 1\r\nping 2\r\n");
  CHECK(replies() == "$1\r\n2\r\n");
}

TEST_CASE_FIXTURE(Fixture, "hosts/connection: QUIT waits for what is due and drops the rest") {
  type("slowread a\r\nquit\r\nset k v\r\n");
  CHECK_FALSE(connection->finished());
  keep("a");
  CHECK(replies() == "+a\r\n+OK\r\n");
  CHECK(connection->finished());
  CHECK_FALSE(store->keyspace().contains("k"));
}

TEST_CASE_FIXTURE(Fixture, "hosts/connection: after a protocol error nothing is executed") {
  type("ping\r\n*1\r\n:1\r\nset k v\r\n");
  CHECK(replies() == "+PONG\r\n-ERR Protocol error: expected '$', got ':'\r\n");
  CHECK(connection->finished());
  CHECK_FALSE(store->keyspace().contains("k"));
}

TEST_CASE_FIXTURE(Fixture, "hosts/connection: who is refused while sending is heard out") {
  type("*1\r\n:1\r\nset k v\r\n");
  REQUIRE(connection->finished());
  CHECK(connection->linger());
  type("set k v\r\n");
  CHECK(connection->linger());
  CHECK(connection->wanted_interest().readable);
  ::shutdown(peer.get(), SHUT_WR);
  connection->receive();
  CHECK_FALSE(connection->linger());
  CHECK(replies() == "-ERR Protocol error: expected '$', got ':'\r\n");
  CHECK_FALSE(store->keyspace().contains("k"));
}

TEST_CASE_FIXTURE(Fixture, "hosts/connection: an idle client gives its buffers back") {
  store->keyspace().set("k", std::string(10'000, 'x'));
  type("get k\r\nget k\r\n*2\r\n$3\r\nget\r\n");
  CHECK(replies().size() > 20'000);
  REQUIRE(connection->quiet());
  CHECK(connection->release_buffers() > 30'000);  // of input and output
  connection->refresh_client();
  CHECK(connection->client().input_capacity == connection->client().input_bytes);
  type("$1\r\nn\r\n");  // the rest of the command that had begun
  CHECK(replies() == "$-1\r\n");
}

TEST_CASE_FIXTURE(Fixture, "hosts/connection: a half-closed client gets what it is owed") {
  type("slowread a\r\nslowwrite b\r\n");
  ::shutdown(peer.get(), SHUT_WR);
  connection->receive();
  turn();
  CHECK_FALSE(connection->finished());
  keep("a");
  keep("b");
  CHECK(replies() == "+a\r\n+b\r\n");
  CHECK(connection->finished());
}

TEST_CASE_FIXTURE(Fixture, "hosts/connection: a half-sent request ends with its client") {
  type("*2\r\n$4\r\nECHO\r\n$5\r\nab");
  CHECK_FALSE(connection->finished());
  peer.reset();
  connection->receive();
  turn();
  CHECK(connection->finished());
}

TEST_CASE_FIXTURE(Fixture, "hosts/connection: an HTTP request is closed without a reply") {
  type("POST / HTTP/1.1\r\nHost: localhost\r\n\r\nset k v\r\n");
  CHECK(replies().empty());
  CHECK(connection->finished());
  CHECK_FALSE(store->keyspace().contains("k"));
}

TEST_CASE_FIXTURE(Fixture, "hosts/connection: who does not read is not executed for ever") {
  store->keyspace().set("k", std::string(100'000, 'x'));
  std::string stream;
  for (int i = 0; i < 1000; ++i) stream += "get k\r\n";
  type(stream);
  connection->refresh_client();
  CHECK(connection->client().output_bytes < 2'000'000);
  CHECK(connection->wanted_interest().writable);
  CHECK(connection->client().input_bytes > 0);
  std::size_t got = 0;
  while (got < 1000 * (100'000 + 11)) {
    const std::size_t some = replies().size();
    REQUIRE(some != 0);
    got += some;
    connection->send();
    turn();
  }
  CHECK(got == 1000 * (100'000 + 11));
}

TEST_CASE_FIXTURE(Fixture, "hosts/connection: commands that must wait stop the reading") {
  type("slowwrite w\r\n");
  std::string stream;
  for (int i = 0; i < 1000; ++i) stream += "get k\r\n";
  for (int i = 0; i < 20 && connection->wanted_interest().readable; ++i) type(stream);
  CHECK_FALSE(connection->wanted_interest().readable);
  connection->refresh_client();
  CHECK(connection->client().input_bytes < 200'000);
  keep("w");
  CHECK(connection->wanted_interest().readable);
}

TEST_CASE_FIXTURE(Fixture, "hosts/connection: promises in flight are bounded") {
  const auto most_in_flight = [&](const std::string& command) {
    for (int i = 0; i < 3000; ++i) type(command + " " + std::to_string(i) + "\r\n");
    const std::size_t most = promises.size();
    for (int i = 0; i < 3000; ++i) keep(std::to_string(i));
    CHECK(promises.empty());
    return most;
  };
  CHECK(most_in_flight("slowwrite") == 1024);
  CHECK(most_in_flight("slowread") ==
        8 * store->workers().size());  // others' reads queue behind them
}

TEST_CASE_FIXTURE(Fixture, "hosts/connection: replies in flight count as what they may be") {
  type("bigread a\r\nbigread b\r\nbigread c\r\nslowread d\r\n");
  CHECK(started("b"));
  CHECK_FALSE(started("c"));  // two of them are more than a client may leave unread
  keep("b");                  // smaller than expected, although it waits for a
  CHECK(started("c"));
  CHECK_FALSE(started("d"));
  keep("a");
  REQUIRE(started("d"));
  keep("c");
  keep("d");
  CHECK(replies() == "+a\r\n+b\r\n+c\r\n+d\r\n");
  connection->refresh_client();
  CHECK(connection->client().output_bytes == 0);
}

TEST_CASE_FIXTURE(Fixture, "hosts/connection: an abandoned client's commands are not executed") {
  REQUIRE(::send(peer.get(), "set k v\r\n", 9, 0) == 9);
  connection->receive();
  connection->abandon();
  turn();
  CHECK(connection->finished());
  CHECK_FALSE(store->keyspace().contains("k"));
}

TEST_CASE_FIXTURE(Fixture, "hosts/connection: a header of a huge bulk takes no memory") {
  type("*2\r\n$4\r\nECHO\r\n$500000000\r\nabc");
  connection->refresh_client();
  CHECK(connection->client().input_capacity < 2'000'000);
  type("*1\r\n");
  connection->refresh_client();
  CHECK(connection->client().input_capacity < 4'000'000);
}

}  // namespace
}  // namespace engram::connection_test
