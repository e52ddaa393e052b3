// SPDX-License-Identifier: Apache-2.0
// A whole server in this process, spoken to over real sockets.
#include "server/hosts/serve/server.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "server/net/socket.h"
#include "server/runtime/log.h"
#include "tests/support/resp_client.h"
#include "tests/support/seed.h"

namespace engram::server_test {
namespace {

using test::request;
using test::RespClient;

class Fixture {
 public:
  Fixture() : Fixture(ServerConfig{}) {}
  explicit Fixture(ServerConfig config) {
    config.port = 0;
    config.appendonly = false;
    set_log_level("error");
    if (config.workers == 0) config.workers = 2;
    server = std::move(*Server::make(std::move(config)));
    thread = std::thread([this] { CHECK(server->run().has_value()); });
  }
  ~Fixture() {
    server->request_shutdown();
    if (thread.joinable()) thread.join();
  }

  [[nodiscard]] RespClient connect() const { return RespClient(server->port()); }

  std::unique_ptr<Server> server;
  std::thread thread;
};

/// `dim` packed floats.
std::string vector_bytes(std::size_t dim, float first) {
  std::vector<float> values(dim, 0.5F);
  values[0] = first;
  std::string bytes(dim * sizeof(float), '\0');
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

std::string bulk(std::string_view text) {
  return "$" + std::to_string(text.size()) + "\r\n" + std::string(text) + "\r\n";
}

TEST_CASE_FIXTURE(Fixture, "server: 10,000 mixed commands in one pipeline are answered in order") {
  auto rng = test::make_rng(8);
  RespClient client = connect();
  REQUIRE(client.ask({"VNEW", "idx", "8", "METRIC", "l2", "PRIMITIVE", "flat"}) == "+OK\r\n");
  std::string stream;
  std::vector<std::string> expected;
  std::vector<int> stored;
  for (int i = 0; i < 10'000; ++i) {
    const std::string name = std::to_string(i);
    const auto say = [&](std::initializer_list<std::string_view> words, std::string reply) {
      stream += request(words);
      expected.push_back(std::move(reply));
    };
    switch (rng() % 6) {
      case 0:
        say({"VADD", "idx", name, vector_bytes(8, static_cast<float>(i))}, ":1\r\n");
        stored.push_back(i);
        break;
      case 1:
        if (stored.empty()) {
          say({"PING"}, "+PONG\r\n");
        } else {
          // What was just written on this connection is what a search on it finds.
          const int wanted = rng() % 2 == 0 ? stored.back() : stored[rng() % stored.size()];
          say({"VSEARCH", "idx", vector_bytes(8, static_cast<float>(wanted)), "1"},
              "*2\r\n" + bulk(std::to_string(wanted)) + bulk("0"));
        }
        break;
      case 2:
        say({"SET", "k", name}, "+OK\r\n");
        break;
      case 3:
        say({"SET", "own", name, "GET"}, "");
        break;
      case 4:
        say({"ECHO", name}, bulk(name));
        break;
      default:
        say({"NOSUCH"}, "-ERR unknown command 'NOSUCH', with args beginning with: \r\n");
    }
  }
  std::thread sender([&] { client.send(stream); });
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const std::string got = client.reply();
    CAPTURE(i);
    if (expected[i].empty()) {
      CHECK((got[0] == '$'));
    } else {
      CHECK(got == expected[i]);
    }
  }
  sender.join();
}

TEST_CASE_FIXTURE(Fixture, "server: clients that leave in mid-search harm nobody") {
  RespClient owner = connect();
  REQUIRE(owner.ask({"VNEW", "idx", "256", "PRIMITIVE", "flat"}) == "+OK\r\n");
  for (int i = 0; i < 500; ++i) {
    owner.ask({"VADD", "idx", std::to_string(i), vector_bytes(256, static_cast<float>(i))});
  }
  for (int round = 0; round < 100; ++round) {
    RespClient quitter = connect();
    std::string stream;
    for (int i = 0; i < 50; ++i) stream += request({"VSEARCH", "idx", vector_bytes(256, 1), "10"});
    for (int i = 0; i < 5; ++i) stream += request({"VADD", "idx", "x", vector_bytes(256, 1)});
    quitter.send(stream);
  }
  CHECK(owner.ask({"VSEARCH", "idx", vector_bytes(256, 1), "1"}).starts_with("*2\r\n"));
  CHECK(owner.ask({"PING"}) == "+PONG\r\n");
}

TEST_CASE("server: stopping in the middle of work is clean") {
  for (int round = 0; round < 5; ++round) {
    Fixture fixture;
    RespClient client = fixture.connect();
    client.ask({"VNEW", "idx", "64"});
    std::string stream;
    for (int i = 0; i < 2000; ++i) {
      stream += request({"VADD", "idx", std::to_string(i), vector_bytes(64, 1)});
      if (i % 10 == 0) stream += request({"VSEARCH", "idx", vector_bytes(64, 1), "5"});
    }
    client.send(stream);
    client.reply();
  }
}

TEST_CASE_FIXTURE(Fixture, "server: a bulk of 1 GiB is refused by its header") {
  RespClient client = connect();
  client.send("*2\r\n$4\r\nECHO\r\n$1073741824\r\n");
  CHECK(client.rest() == "-ERR Protocol error: invalid bulk length\r\n");
  CHECK(connect().ask({"PING"}) == "+PONG\r\n");
}

TEST_CASE_FIXTURE(Fixture, "server: a million arguments are parsed and judged") {
  constexpr std::size_t kArguments = 1'000'000;
  std::string stream = "*" + std::to_string(kArguments) + "\r\n$4\r\nECHO\r\n";
  for (std::size_t i = 1; i < kArguments; ++i) stream += "$1\r\nx\r\n";
  RespClient client = connect();
  client.send(stream);
  CHECK(client.reply() == "-ERR wrong number of arguments for 'echo' command\r\n");
  CHECK(client.ask({"PING"}) == "+PONG\r\n");
}

TEST_CASE_FIXTURE(Fixture, "server: no error repeats a large argument whole") {
  RespClient client = connect();
  const std::string large(1'000'000, 'x');
  const std::vector<std::string> streams = {
      request({large, large}),
      request({"CONFIG", large}),
      request({"CONFIG", "SET", large, "1"}),
      request({"CONFIG", "SET", "bind", large}),
      request({"HELLO", "3", large}),
      request({"CLIENT", "SETINFO", large, "1"}),
      request({"CLIENT", "LIST", "TYPE", large}),
      request({"CLIENT", "KILL", "USER", large}),
      request({"EXPIRE", "k", "1", large}),
  };
  for (const std::string& stream : streams) {
    client.send(stream);
    const std::string reply = client.reply();
    CHECK(reply.starts_with("-ERR "));
    CHECK(reply.size() < 500);
  }
}

TEST_CASE_FIXTURE(Fixture, "server: what repeats itself in a request does not multiply the reply") {
  RespClient client = connect();
  REQUIRE(client.ask({"CONFIG", "SET", "proto-max-bulk-len", "1mb"}) == "+OK\r\n");
  REQUIRE(client.ask({"SET", "k", std::string(600'000, 'x')}) == "+OK\r\n");
  CHECK(client.ask({"MGET", "k", "none"}).size() > 600'000);
  CHECK(client.ask({"MGET", "k", "k"}) ==
        "-ERR the values together exceed proto-max-bulk-len; ask for fewer\r\n");
  const auto repeat = [&](std::string_view subcommand) {
    std::string stream = "*5002\r\n" + bulk("COMMAND") + bulk(subcommand);
    for (int i = 0; i < 5000; ++i) stream += bulk("get");
    client.send(stream);
    return client.reply();
  };
  CHECK(repeat("INFO").starts_with("-ERR there are only "));
  CHECK(repeat("DOCS").starts_with("-ERR there are only "));
  const std::string id = client.ask({"CLIENT", "ID"});
  const std::string number = id.substr(1, id.size() - 3);
  const std::string list = client.ask({"CLIENT", "LIST", "ID", "99", number, number, "98"});
  CHECK(std::count(list.begin(), list.end(), '\n') == 3);  // one line, the header and the end
}

TEST_CASE_FIXTURE(Fixture, "server: COMMAND INFO has the shape that it has in Redis") {
  RespClient client = connect();
  client.ask({"HELLO", "3"});
  const auto text = [](std::string reply) {
    for (std::size_t at = 0; (at = reply.find("\r\n", at)) != std::string::npos;) {
      reply.replace(at, 2, " ");
    }
    return reply;
  };
  CHECK(text(client.ask({"COMMAND", "INFO", "get"})) ==
        "*1 *10 $3 get :2 ~2 +readonly +fast :1 :1 :1 ~3 +@read +@string +@fast ~0 ~1 %3 $5 flags "
        "~2 +RO +access $12 begin_search %2 $4 type $5 index $4 spec %1 $5 index :1 $9 find_keys "
        "%2 $4 type $5 range $4 spec %3 $7 lastkey :0 $7 keystep :1 $5 limit :0 ~0 ");
  CHECK(text(client.ask({"COMMAND", "INFO", "config|rewrite"})).ends_with(" ~0 ~0 ~0 "));
  CHECK(text(client.ask({"COMMAND", "INFO", "config"})).find(" ~0 ~0 *5 *10 ") !=
        std::string::npos);
  CHECK(text(client.ask({"COMMAND", "INFO", "unlink"})).find(" ~2 +RM +delete ") !=
        std::string::npos);
}

TEST_CASE_FIXTURE(Fixture, "server: to ask for what is so already is no error") {
  RespClient client = connect();
  CHECK(client.ask({"CONFIG", "SET", "appendonly", "NO", "save", ""}) == "+OK\r\n");
  CHECK(client.ask({"CONFIG", "SET", "appendonly", "yes"})
            .ends_with("can't set immutable config\r\n"));
  CHECK(client.ask({"CLIENT", "TRACKING", "OFF"}) == "+OK\r\n");
  CHECK(client.ask({"CLIENT", "TRACKING", "ON"}) ==
        "-ERR this server tracks no keys for client-side caching\r\n");
  CHECK(client.ask({"CLIENT", "TRACKING", "MAYBE"}) == "-ERR syntax error\r\n");
}

TEST_CASE("server: CONFIG REWRITE says why it does not write") {
  CHECK(Fixture().connect().ask({"CONFIG", "REWRITE"}) ==
        "-ERR The server is running without a config file\r\n");
  ServerConfig config;
  config.file = "engram.conf";
  CHECK(Fixture(config).connect().ask({"CONFIG", "REWRITE"}) ==
        "-ERR this server never writes its configuration file\r\n");
}

TEST_CASE_FIXTURE(Fixture, "server: large values travel whole") {
  RespClient client = connect();
  std::string value(20'000'000, 'a');
  value[12'345'678] = '\r';
  std::thread sender([&] { client.send(request({"SET", "k", value}) + request({"GET", "k"})); });
  CHECK(client.reply() == "+OK\r\n");
  CHECK(client.reply() == bulk(value));
  sender.join();
}

TEST_CASE_FIXTURE(Fixture,
                  "server: random bytes are answered or closed, and others do not notice") {
  auto rng = test::make_rng(9);
  const std::string_view alphabet = "*$:0123456789\r\n\r\n \"'PINGSETk";
  for (int round = 0; round < 300; ++round) {
    std::string noise;
    for (auto i = rng() % 400; i > 0; --i) {
      noise += rng() % 4 == 0 ? static_cast<char>(rng()) : alphabet[rng() % alphabet.size()];
    }
    RespClient client = connect();
    client.send(noise);
    ::shutdown(client.fd(), SHUT_WR);
    CHECK(client.closed());
  }
  CHECK(connect().ask({"PING"}) == "+PONG\r\n");
}

TEST_CASE_FIXTURE(Fixture, "server: HELLO switches the protocol, RESET brings it back") {
  RespClient client = connect();
  CHECK(client.ask({"HELLO"}).starts_with("*14\r\n"));
  CHECK(client.ask({"HELLO", "3", "SETNAME", "me"}).starts_with("%7\r\n"));
  CHECK(client.ask({"GET", "none"}) == "_\r\n");
  CHECK(client.ask({"CLIENT", "GETNAME"}) == bulk("me"));
  CHECK(client.ask({"CONFIG", "GET", "nosuch"}) == "%0\r\n");
  CHECK(client.ask({"HELLO", "4"}) == "-NOPROTO unsupported protocol version\r\n");
  CHECK(client.ask({"INFO", "replication"}).starts_with("="));
  CHECK(client.ask({"RESET"}) == "+RESET\r\n");
  CHECK(client.ask({"GET", "none"}) == "$-1\r\n");
  CHECK(client.ask({"CLIENT", "GETNAME"}) == "$-1\r\n");
}

TEST_CASE_FIXTURE(Fixture, "server: CONFIG SET port listens anew before it lets the old one go") {
  RespClient client = connect();
  const int former = server->port();
  const UniqueFd taken = std::move(*listen_tcp("127.0.0.1", 0, 1));
  const std::string busy = std::to_string(local_port(taken.get()));
  CHECK(client.ask({"CONFIG", "SET", "port", busy})
            .starts_with("-ERR CONFIG SET failed (possibly related to argument 'port') - Unable "
                         "to listen on this port"));
  CHECK(server->port() == former);
  CHECK(connect().ask({"PING"}) == "+PONG\r\n");

  CHECK(client.ask({"CONFIG", "SET", "port", "0"}) == "+OK\r\n");
  CHECK(server->port() != former);
  CHECK(client.ask({"CONFIG", "GET", "port"}).ends_with(bulk(std::to_string(server->port()))));
  CHECK(connect().ask({"PING"}) == "+PONG\r\n");
  CHECK_FALSE(RespClient(former).connected());
  CHECK(client.ask({"PING"}) == "+PONG\r\n");

  CHECK(client.ask({"CONFIG", "SET", "bind", "203.0.113.1"}).starts_with("-ERR CONFIG SET failed"));
  CHECK(connect().ask({"PING"}) == "+PONG\r\n");
}

TEST_CASE_FIXTURE(Fixture, "server: a failing CONFIG SET changes nothing at all") {
  RespClient client = connect();
  CHECK(client.ask({"CONFIG", "SET", "timeout", "77", "dir", "/nonexistent"})
            .starts_with("-ERR CONFIG SET failed (possibly related to argument 'dir')"));
  CHECK(client.ask({"CONFIG", "GET", "timeout"}).ends_with(bulk("0")));
  CHECK(client.ask({"CONFIG", "SET", "timeout", "77", "dir", "/"}) == "+OK\r\n");
  CHECK(client.ask({"CONFIG", "GET", "timeout"}).ends_with(bulk("77")));
  CHECK(client.ask({"CONFIG", "GET", "dir"}).ends_with(bulk("/")));
}

TEST_CASE("server: over maxclients a connection is told so and closed") {
  ServerConfig config;
  config.maxclients = 2;
  const Fixture fixture(config);
  RespClient first = fixture.connect();
  RespClient second = fixture.connect();
  CHECK(first.ask({"PING"}) == "+PONG\r\n");
  CHECK(second.ask({"PING"}) == "+PONG\r\n");
  CHECK(fixture.connect().rest() == "-ERR max number of clients reached\r\n");
  CHECK(second.ask({"QUIT"}) == "+OK\r\n");
  CHECK(second.closed());
  CHECK(fixture.connect().ask({"PING"}) == "+PONG\r\n");
}

TEST_CASE_FIXTURE(Fixture, "server: CLIENT KILL ends others at once and oneself after the reply") {
  RespClient killer = connect();
  RespClient victim = connect();
  const std::string id = victim.ask({"CLIENT", "ID"});
  const std::string number = id.substr(1, id.size() - 3);
  CHECK(killer.ask({"CLIENT", "KILL", "ID", number}) == ":1\r\n");
  CHECK(victim.closed());
  CHECK(killer.ask({"CLIENT", "KILL", "ID", number}) == ":0\r\n");
  CHECK(killer.ask({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "no"}) == ":1\r\n");
  CHECK(killer.closed());
}

TEST_CASE_FIXTURE(Fixture, "server: keys expire without anybody looking") {
  RespClient client = connect();
  client.send(request({"SET", "k", "v", "PX", "1"}));
  CHECK(client.reply() == "+OK\r\n");
  while (client.ask({"DBSIZE"}) != ":0\r\n") {
  }
  CHECK(client.ask({"INFO", "stats"}).find("expired_keys:1\r\n") != std::string::npos);
}

TEST_CASE_FIXTURE(Fixture, "server: one keyspace for strings and collections") {
  RespClient client = connect();
  client.ask({"SET", "s", "v"});
  CHECK(client.ask({"VNEW", "c", "4"}) == "+OK\r\n");
  CHECK(client.ask({"TYPE", "c"}) == "+vectorset\r\n");
  CHECK(client.ask({"GET", "c"}).starts_with("-WRONGTYPE "));
  CHECK(client.ask({"APPEND", "c", "x"}).starts_with("-WRONGTYPE "));
  CHECK(client.ask({"INCR", "c"}).starts_with("-WRONGTYPE "));
  CHECK(client.ask({"SCAN", "0", "COUNT", "100", "TYPE", "vectorset"}) ==
        "*2\r\n" + bulk("0") + "*1\r\n" + bulk("c"));
  CHECK(client.ask({"DEL", "c", "s"}) == ":2\r\n");
  CHECK(client.ask({"DBSIZE"}) == ":0\r\n");
}

TEST_CASE("server: SHUTDOWN ends run(), and the closed connection is its reply") {
  Fixture fixture;
  RespClient client = fixture.connect();
  CHECK(client.ask({"SHUTDOWN", "BOGUS"}) == "-ERR syntax error\r\n");
  client.send(request({"SHUTDOWN", "NOSAVE"}));
  CHECK(client.rest().empty());
  fixture.thread.join();
}

TEST_CASE("server: what cannot work is refused before it starts") {
  ServerConfig config;
  config.port = 0;
  config.dir = "/nonexistent";
  CHECK_FALSE(Server::make(config));
  config.dir = ".";
  config.appendonly = false;
  config.bind = {"203.0.113.1"};
  CHECK_FALSE(Server::make(config));
}

TEST_CASE("net/socket: IPv4 and IPv6 share a port, and '-' makes an address optional") {
  const auto both = listen_tcp_all({"127.0.0.1", "-::1", "-203.0.113.1"}, 0, 16);
  REQUIRE(both);
  CHECK(both->size() >= 1);
  CHECK(local_name(both->front().get()).starts_with("127.0.0.1:"));
  for (const UniqueFd& fd : *both) CHECK(local_port(fd.get()) == local_port(both->front().get()));
}

}  // namespace
}  // namespace engram::server_test
