// SPDX-License-Identifier: Apache-2.0
// The parts of a session, and a door without a socket.
#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/commands/table.h"
#include "server/config/config.h"
#include "server/doors/door.h"
#include "server/doors/resp/resp_door.h"
#include "server/engine/transaction_gate.h"
#include "server/metrics/server_stats.h"
#include "server/session/reply_order.h"
#include "server/session/watched_keys.h"

namespace engram::session_test {
namespace {

class CollectingSink final : public ClientSink {
 public:
  void reply(std::string_view bytes) override { bytes_.append(bytes); }
  std::string refusal(const Error& error) override { return "<" + error.message + ">"; }
  void progressed() override {}
  std::string take() { return std::exchange(bytes_, {}); }

 private:
  std::string bytes_;
};

const Error kFull = {ErrorCode::kNoSpace, "full"};

TEST_CASE("session/reply_order: replies leave in the order of their places") {
  CollectingSink sink;
  ReplyOrder order(sink);
  const auto first = order.reserve(CommandKind::kRead, false, 10);
  const auto second = order.reserve(CommandKind::kWrite, false, 10);
  order.append("c");
  CHECK(order.bytes() == 21);
  CHECK(order.unanswered() == 2);
  order.fill(second, "b");
  CHECK(sink.take().empty());
  order.fill(first, "a");
  CHECK(sink.take() == "abc");
  CHECK(order.empty());
  CHECK(order.bytes() == 0);
  order.append("d");
  CHECK(sink.take() == "d");
}

TEST_CASE("session/reply_order: a held place waits for its release, and a refusal replaces it") {
  CollectingSink sink;
  ReplyOrder order(sink);
  const auto kept = order.reserve(CommandKind::kWrite, false, 0);
  const auto lost = order.reserve(CommandKind::kWrite, false, 0);
  order.hold(kept, 5);
  order.hold(lost, 5);
  order.fill(kept, "a");
  order.fill(lost, "b");
  CHECK(sink.take().empty());
  order.release(lost, &kFull);
  order.release(kept, nullptr);
  CHECK(sink.take() == "a<full>");
  CHECK(order.bytes() == 0);
}

TEST_CASE("session/reply_order: a place that waits for two records leaves after the second") {
  CollectingSink sink;
  ReplyOrder order(sink);
  const auto place = order.reserve(CommandKind::kWrite, false, 0);
  order.hold(place, 5);
  order.hold(place, 7);
  order.fill(place, "a");
  order.release(place, nullptr);
  CHECK(sink.take().empty());
  order.release(place, nullptr);
  CHECK(sink.take() == "a");
  CHECK(order.bytes() == 0);
}

TEST_CASE("session/reply_order: a muted place says nothing, those behind it do") {
  CollectingSink sink;
  ReplyOrder order(sink);
  const auto muted = order.reserve(CommandKind::kWrite, true, 0);
  order.append("b");
  order.hold(muted, 0);
  order.fill(muted, "a");
  order.release(muted, &kFull);
  CHECK(sink.take() == "b");
}

TEST_CASE("session/reply_order: parts of a reply leave when nothing is due before") {
  CollectingSink sink;
  ReplyOrder order(sink);
  const auto first = order.reserve(CommandKind::kRead, false, 0);
  const auto second = order.reserve(CommandKind::kRead, false, 0);
  order.extend(second, "c");
  CHECK(order.bytes_at(second) == 1);
  order.extend(first, "a");
  CHECK(order.is_first(first));
  CHECK(sink.take() == "a");
  order.extend(second, "d");
  order.append("f");
  CHECK(sink.take().empty());
  order.fill(first, "b");
  CHECK(sink.take() == "bcd");
  CHECK(order.is_first(second));
  order.fill(second, "e");
  CHECK(sink.take() == "ef");
  CHECK(order.bytes() == 0);
}

TEST_CASE("session/reply_order: what is kept back leaves when it may") {
  CollectingSink sink;
  ReplyOrder order(sink);
  order.set_kept_back(true);
  order.fill(order.reserve(CommandKind::kWrite, false, 0), "a");
  CHECK(sink.take().empty());
  order.set_kept_back(false);
  CHECK(sink.take() == "a");
}

TEST_CASE("session/transaction_gate: what waits starts in order, until the gate closes again") {
  TransactionGate gate;
  std::string log;
  gate.when_open([&] { log += 'a'; });
  gate.close();
  gate.when_open([&] {
    log += 'b';
    gate.close();
  });
  gate.when_open([&] { log += 'c'; });
  CHECK(log == "a");
  gate.open();
  CHECK(log == "ab");
  gate.open();
  CHECK(log == "abc");
}

TEST_CASE("session/transaction_gate: a closed gate waits for the writes that have passed it") {
  TransactionGate gate;
  bool is_empty = false;
  gate.enter();
  gate.enter();
  gate.close();
  gate.when_empty([&] { is_empty = true; });
  CHECK(gate.is_closed());
  gate.leave();
  CHECK_FALSE(is_empty);
  gate.leave();
  CHECK(is_empty);
}

class Fixture : private FrontEnd, private StoreLoop {
 public:
  void for_each_client(const std::function<void(Client&)>&) override {}
  [[nodiscard]] std::size_t client_count() const override { return 1; }
  void refresh_client(ClientId) override {}
  void close_client(ClientId) override { door->abandon(); }
  Result<int> listen(const std::vector<std::string>&, int port) override { return port; }
  void request_shutdown() override {}
  void wake() override {}
  void wait() override {}

  /// Gives the door `bytes` and returns what it has to send.
  std::string type(std::string_view bytes) {
    for (bool more = true; more; more = !bytes.empty()) {
      const std::span<char> room = door->input_room();
      const std::size_t some = std::min(room.size(), bytes.size());
      std::copy_n(bytes.begin(), some, room.begin());
      bytes.remove_prefix(some);
      door->add_input(some);
      do {
        door->execute();
      } while (door->can_continue());
    }
    std::string sent(door->unsent());
    door->mark_sent(sent.size());
    return sent;
  }

  std::unique_ptr<Store> store = std::move(*Store::open({.workers = 1}, *this));
  ServerConfig config;
  ServerStats stats;
  Sessions sessions{*store, stats};
  Services services{*store, config, stats, *this, sessions, sessions, command_table()};
  std::unique_ptr<RespDoor> door = std::make_unique<RespDoor>(sessions, services, [] {});
};

TEST_CASE_FIXTURE(Fixture, "doors/resp: a request may arrive byte by byte") {
  const std::string request = "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\nGET k\r\n";
  std::string replies;
  for (const char byte : request) replies += type(std::string_view(&byte, 1));
  CHECK(replies == "+OK\r\n$1\r\nv\r\n");
}

TEST_CASE_FIXTURE(Fixture, "doors/resp: a web page's request ends the door without an answer") {
  CHECK(type("POST / HTTP/1.1\r\n").empty());
  CHECK(door->is_abandoned());
  CHECK(door->finished());
  CHECK(type("PING\r\n").empty());
}

TEST_CASE_FIXTURE(Fixture,
                  "session/watched_keys: what changes a key is noticed, reading it is not") {
  Keyspace& keyspace = store->keyspace();
  keyspace.set_now(1000);
  keyspace.set("text", std::string("1"));
  const auto is_noticed = [&](std::string_view key, auto change) {
    WatchedKeys watched(keyspace);
    watched.add(key);
    watched.add("other");
    change();
    return watched.any_changed();
  };
  CHECK_FALSE(is_noticed("text", [&] { keyspace.find("text"); }));
  CHECK(is_noticed("text", [&] { keyspace.set("text", std::string("1")); }));
  CHECK(is_noticed("text", [&] { keyspace.append("text", "2"); }));
  CHECK(is_noticed("text", [&] { keyspace.expire_at("text", 5000); }));
  CHECK(is_noticed("text", [&] { keyspace.persist("text"); }));
  CHECK_FALSE(is_noticed("text", [&] { keyspace.persist("text"); }));
  CHECK(is_noticed("text", [&] { keyspace.erase("text"); }));
  CHECK_FALSE(is_noticed("text", [&] { keyspace.erase("text"); }));
  CHECK_FALSE(is_noticed("text", [&] { keyspace.clear(); }));
  CHECK(is_noticed("text", [&] { keyspace.set("text", std::string("1")); }));
  CHECK(is_noticed("text", [&] { keyspace.clear(); }));
  keyspace.set("text", std::string("1"));
  keyspace.expire_at("text", 2000);
  CHECK(is_noticed("text", [&] { keyspace.set_now(2000); }));
}

TEST_CASE_FIXTURE(Fixture, "session/transaction: replies that are too many are told to be") {
  config.client_query_buffer_limit = 1000;
  store->keyspace().set("k", std::string(600, 'x'));
  CHECK(type("MULTI\r\nGET k\r\nGET k\r\nDEL k\r\nEXEC\r\nPING\r\n") ==
        "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n-ERR the transaction was carried out, but its "
        "replies exceed client-query-buffer-limit\r\n+PONG\r\n");
  CHECK_FALSE(store->keyspace().contains("k"));
}

/// A journal whose frame has room for little more.
class NearlyFullSink final : public ChangeSink {
 public:
  void record(const Change&) override {}
  [[nodiscard]] std::size_t recorded_bytes() const noexcept override {
    return (std::size_t{2} << 30) - (std::size_t{1} << 20) - 300;
  }
  GracePeriod::Ticket begin() override { return 0; }
  void end(GracePeriod::Ticket) override {}
};

TEST_CASE_FIXTURE(Fixture,
                  "session/transaction: a step that its frame has no room for is refused") {
  NearlyFullSink sink;
  store->keyspace().set_change_sink(&sink);
  CHECK(
      type("MULTI\r\nSET a 1\r\nSET b " + std::string(300, 'x') + "\r\nGET a\r\nEXEC\r\n") ==
      "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n+OK\r\n-ERR a command, or a transaction, can "
      "change at most 2 GiB at once\r\n$1\r\n1\r\n");
  const CommandStat& sets = stats.calls[command_table().number_of("set")];
  CHECK(sets.calls == 1);
  CHECK(sets.rejected == 1);
  CHECK(stats.errors.counts().at("ERR") == 1);
  store->keyspace().set_change_sink(nullptr);
  CHECK_FALSE(store->keyspace().contains("b"));
}

TEST_CASE_FIXTURE(Fixture, "doors/resp: a limit is on what waits to be an argument") {
  config.client_query_buffer_limit = 1000;
  const std::string value(900, 'x');
  std::string request = "*21\r\n$4\r\nMSET\r\n";
  for (int i = 0; i < 10; ++i)
    request += "$1\r\n" + std::to_string(i) + "\r\n$900\r\n" + value + "\r\n";
  CHECK(type(request) == "+OK\r\n");
  CHECK(type("*2\r\n$3\r\nGET\r\n$1001\r\n" + std::string(1001, 'x')) ==
        "-ERR the request exceeds client-query-buffer-limit\r\n");
  CHECK(door->finished());
}

TEST_CASE_FIXTURE(Fixture, "commands/keys: a long walk is cut, and meets what stays once") {
  constexpr int kKeys = 200'000;
  Keyspace& keyspace = store->keyspace();
  for (int i = 0; i < kKeys; ++i) keyspace.set("stays " + std::to_string(i), std::string());
  for (int i = 0; i < kKeys; ++i) keyspace.set("goes " + std::to_string(i), std::string());
  const auto walk = [&](std::string_view command) {
    std::string reply = type(command);
    CHECK(reply.empty());
    for (int turn = 0; reply.empty(); ++turn) {
      store->collect();
      keyspace.erase("goes " + std::to_string(turn));
      keyspace.set("comes " + std::to_string(turn), std::string());
      while (!door->unsent().empty()) {
        reply += door->unsent();
        door->mark_sent(door->unsent().size());
      }
    }
    return reply;
  };
  const std::string all = walk("KEYS stays*\r\n");
  CHECK(all.starts_with("*200000\r\n"));
  CHECK(all.size() == walk("SCAN 0 COUNT 10000000 MATCH stays*\r\n").size() + 11 - 22);
  CHECK(type("PING\r\n") == "+PONG\r\n");
}

TEST_CASE_FIXTURE(Fixture, "commands/keys: a walk ends when its client has gone") {
  store->keyspace().set(std::string(1'000'000, 'a'), std::string());
  std::string pattern = "*";
  for (int i = 0; i < 20'000; ++i) pattern += "?a";
  CHECK(type("*2\r\n$4\r\nKEYS\r\n$40003\r\n" + pattern + "b*\r\n").empty());
  store->collect();
  CHECK_FALSE(store->slices().empty());
  door.reset();
  store->collect();
  CHECK(store->slices().empty());
}

TEST_CASE_FIXTURE(Fixture, "session/transaction: a queue is bounded like the input it came from") {
  config.client_query_buffer_limit = 1000;
  CHECK(type("MULTI\r\nSET k v\r\n") == "+OK\r\n+QUEUED\r\n");
  CHECK(type("SET k " + std::string(1000, 'x') + "\r\nEXEC\r\n") ==
        "-ERR the transaction exceeds client-query-buffer-limit, it is discarded\r\n");
  CHECK(door->finished());
  CHECK_FALSE(store->keyspace().contains("k"));  // not even what was queued before
}

}  // namespace
}  // namespace engram::session_test
