// SPDX-License-Identifier: Apache-2.0
// The three small parts that decide when an operation of a collection may start or be forgotten.
#include <doctest/doctest.h>

#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "server/engine/access_gate.h"
#include "server/engine/grace_period.h"
#include "server/engine/key_order.h"
#include "server/engine/key_table.h"
#include "tests/support/seed.h"

namespace engram::scheduling_test {
namespace {

using Access = AccessGate::Access;

TEST_CASE("engine/grace_period: an action runs at once when nothing is running") {
  GracePeriod grace;
  bool ran = false;
  grace.after([&] { ran = true; });
  CHECK(ran);
}

TEST_CASE("engine/grace_period: an action waits for earlier operations and not for later ones") {
  GracePeriod grace;
  const auto first = grace.enter();
  const auto second = grace.enter();
  bool ran = false;
  grace.after([&] { ran = true; });
  const auto later = grace.enter();
  grace.leave(second);
  CHECK_FALSE(ran);
  grace.leave(first);
  CHECK(ran);
  grace.leave(later);
}

TEST_CASE("engine/grace_period: a later operation that ends first releases nothing early") {
  GracePeriod grace;
  const auto old = grace.enter();
  std::string order;
  grace.after([&] { order += 'a'; });
  const auto young = grace.enter();
  grace.after([&] { order += 'b'; });
  grace.leave(young);
  CHECK(order.empty());
  grace.leave(old);
  CHECK(order == "ab");
}

TEST_CASE("engine/grace_period: actions may defer further actions") {
  GracePeriod grace;
  const auto ticket = grace.enter();
  int depth = 0;
  grace.after([&] {
    ++depth;
    grace.after([&] { ++depth; });
  });
  CHECK(depth == 0);
  grace.leave(ticket);
  CHECK(depth == 2);
}

TEST_CASE("engine/grace_period: random schedules release each action exactly when it is due") {
  auto rng = test::make_rng(1);
  GracePeriod grace;
  struct Running {
    GracePeriod::Ticket ticket;
    int number;
  };
  struct Waiting {
    int before;  // operations numbered below this must have ended
    bool ran = false;
  };
  std::vector<Running> running;
  std::vector<std::unique_ptr<Waiting>> actions;
  int next = 0;
  for (int step = 0; step < 20'000; ++step) {
    switch (rng() % 3) {
      case 0:
        running.push_back({grace.enter(), next++});
        break;
      case 1:
        if (!running.empty()) {
          const auto chosen = running.begin() + static_cast<std::ptrdiff_t>(rng() % running.size());
          const auto ticket = chosen->ticket;
          running.erase(chosen);
          grace.leave(ticket);
        }
        break;
      default:
        actions.push_back(std::make_unique<Waiting>(Waiting{next}));
        grace.after([waiting = actions.back().get()] { waiting->ran = true; });
    }
    int oldest = next;
    for (const Running& operation : running) oldest = std::min(oldest, operation.number);
    for (const auto& action : actions) REQUIRE(action->ran == (action->before <= oldest));
    if (actions.size() > 50) std::erase_if(actions, [](const auto& a) { return a->ran; });
  }
  for (const Running& operation : running) grace.leave(operation.ticket);
  for (const auto& action : actions) CHECK(action->ran);
}

TEST_CASE("engine/access_gate: shared operations run together, an exclusive one alone") {
  AccessGate gate;
  std::string log;
  const auto start = [&](char name) { return [&log, name] { log += name; }; };
  gate.enter(Access::kShared, start('a'));
  gate.enter(Access::kShared, start('b'));
  gate.enter(Access::kExclusive, start('W'));
  gate.enter(Access::kShared, start('c'));
  CHECK(log == "ab");  // c came after W and does not overtake it
  gate.leave(Access::kShared);
  CHECK(log == "ab");
  gate.leave(Access::kShared);
  CHECK(log == "abW");
  gate.leave(Access::kExclusive);
  CHECK(log == "abWc");
  gate.leave(Access::kShared);
}

TEST_CASE("engine/key_order: in one line, writes to all keys run in the order they came") {
  KeyOrder order(true);
  std::string log;
  order.begin("a", [&] { log += "a1"; });
  order.begin("a", [&] { log += "a2"; });
  order.begin("b", [&] { log += "b"; });
  CHECK(log == "a1");
  CHECK(order.is_busy("c"));
  CHECK(order.is_contended("a"));
  CHECK(order.is_contended("b"));
  CHECK_FALSE(order.is_contended("c"));  // of what waits nothing is a write to it
  order.finish("a");
  CHECK(log == "a1a2");
  CHECK_FALSE(order.is_contended("a"));
  order.finish("a");
  CHECK(log == "a1a2b");
  order.finish("b");
  CHECK_FALSE(order.is_busy("a"));
}

TEST_CASE("engine/key_order: writes to one key run one at a time and in order, others beside it") {
  KeyOrder order;
  std::string log;
  const auto start = [&](char name) { return [&log, name] { log += name; }; };
  order.begin("k", start('1'));
  order.begin("k", start('2'));
  order.begin("other", start('x'));
  order.begin("k", start('3'));
  CHECK(log == "1x");
  order.finish("k");
  CHECK(log == "1x2");
  order.finish("k");
  CHECK(log == "1x23");
  order.finish("k");
  order.begin("k", start('4'));
  CHECK(log == "1x234");
}

TEST_CASE("engine/key_order: a write that ends inside its own start passes the turn on") {
  KeyOrder order;
  std::string log;
  order.begin("k", [&] { log += 'a'; });
  for (const char name : {'b', 'c', 'd'}) {
    order.begin("k", [&order, &log, name] {
      log += name;
      order.finish("k");
    });
  }
  order.finish("k");
  CHECK(log == "abcd");
}

TEST_CASE("engine/key_order: any number of writes may end inside their starts") {
  KeyOrder order;
  int ended = 0;
  order.begin("k", [] {});
  for (int i = 0; i < 1'000'000; ++i) {
    order.begin("k", [&] {
      ++ended;
      order.finish("k");
    });
  }
  order.finish("k");
  CHECK(ended == 1'000'000);
}

TEST_CASE("engine/key_table: agrees with a model under random changes") {
  struct Entry {
    std::string key;
  };
  auto rng = test::make_rng(2);
  KeyTable<Entry*, 4> table(rng());
  std::vector<std::unique_ptr<Entry>> entries;
  std::vector<Entry*> model(4000, nullptr);  // so many that one shard becomes several
  std::size_t size = 0;
  for (int step = 0; step < 50'000; ++step) {
    const std::size_t number = rng() % model.size();
    const std::string key = "key:" + std::to_string(number);
    if (rng() % 2 == 0) {
      entries.push_back(std::make_unique<Entry>(Entry{key}));
      REQUIRE(table.replace(entries.back().get()) == model[number]);
      size += model[number] == nullptr ? 1 : 0;
      model[number] = entries.back().get();
    } else {
      REQUIRE(table.take(key) == model[number]);
      size -= model[number] == nullptr ? 0 : 1;
      model[number] = nullptr;
    }
    REQUIRE(table.find(key) == model[number]);
    REQUIRE(table.size() == size);
  }
}

TEST_CASE("engine/key_table: a scan visits each entry once, though one shard becomes several") {
  struct Entry {
    std::string key;
  };
  auto rng = test::make_rng(3);
  KeyTable<Entry*, 4> table(rng());
  std::vector<std::unique_ptr<Entry>> entries;
  const auto add = [&](std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      entries.push_back(std::make_unique<Entry>(Entry{std::to_string(entries.size())}));
      table.replace(entries.back().get());
    }
  };
  add(500);
  std::map<std::string, int> visits;
  std::uint64_t cursor = 0;
  std::size_t pages = 0;
  do {
    cursor = table.scan(cursor, 100, [&](const Entry& entry) { ++visits[entry.key]; });
    // A table that grows by more than a page with every page may be ahead of its scan for ever.
    if (entries.size() < 8000) add(400);
  } while (cursor != 0 && ++pages < 100);
  REQUIRE(cursor == 0);
  REQUIRE(table.size() > 1024);
  for (int number = 0; number < 500; ++number) CHECK(visits[std::to_string(number)] == 1);
}

}  // namespace
}  // namespace engram::scheduling_test
