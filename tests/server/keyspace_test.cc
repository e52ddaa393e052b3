// SPDX-License-Identifier: Apache-2.0
#include "server/engine/keyspace.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "server/engine/key_hash.h"
#include "tests/support/seed.h"

namespace engram::keyspace_test {
namespace {

class Fixture {
 public:
  Keyspace keyspace{test::run_seed(), [this](std::shared_ptr<void> it) { reaped.push_back(it); }};
  std::vector<std::shared_ptr<void>> reaped;

  std::optional<std::string> get(std::string_view key) {
    const Value* const value = keyspace.peek(key);
    if (value == nullptr) return std::nullopt;
    return std::get<std::string>(*value);
  }

  /// Every visit of a whole walk; `between` runs after each page.
  template <class Between>
  std::map<std::string, int> walk(std::size_t count, Between between) {
    std::map<std::string, int> visits;
    std::uint64_t cursor = 0;
    do {
      cursor = keyspace.scan(
          cursor, count, [&](std::string_view key, const Value&) { ++visits[std::string(key)]; });
      CHECK(cursor < (std::uint64_t{1} << 48));
      between();
    } while (cursor != 0);
    return visits;
  }
};

TEST_CASE("engine/key_hash: hashes are those of SipHash-1-3, and others with another key") {
  // What CPython, whose bytes are hashed so, gives with PYTHONHASHSEED=0.
  const std::pair<std::string_view, std::uint64_t> known[] = {
      {"a", 0x407448d2b89b1813},
      {"abcdefg", 0x6db12aae9070f506},
      {"abcdefgh", 0x3f7b849c0b8e35ea},
      {"abcdefghijklmno", 0x1fd27a29b0e9dc7a},
      {"key:000000012345", 0x286cb3dfebab533d},
  };
  for (const auto& [text, hash] : known) {
    CHECK(sip_hash(0, 0, text) == hash);
    CHECK(sip_hash(1, 0, text) != hash);
    CHECK(sip_hash(0, 1, text) != hash);
  }
}

TEST_CASE_FIXTURE(Fixture, "engine/keyspace: agrees with a map under random changes") {
  auto rng = test::make_rng(5);
  struct Entry {
    std::string value;
    std::int64_t deadline;  // -1: never
  };
  std::map<std::string, Entry> model;
  std::int64_t now = 1000;
  for (int step = 0; step < 50'000; ++step) {
    now += static_cast<std::int64_t>(rng() % 3);
    keyspace.set_now(now);
    std::erase_if(model, [now](const auto& item) {
      return item.second.deadline >= 0 && item.second.deadline <= now;
    });
    const std::string key = "key:" + std::to_string(rng() % 300);
    const auto found = model.find(key);
    const std::int64_t deadline = now + static_cast<std::int64_t>(rng() % 500) - 10;
    switch (rng() % 8) {
      case 0:
        keyspace.set(key, std::to_string(step));
        model[key] = {std::to_string(step), -1};
        break;
      case 1:
        keyspace.set(key, std::to_string(step), /*keep_ttl=*/true);
        model[key] = {std::to_string(step), found == model.end() ? -1 : found->second.deadline};
        break;
      case 2:
        CHECK(keyspace.erase(key) == (model.erase(key) == 1));
        break;
      case 3:
        CHECK(keyspace.expire_at(key, deadline) == (found != model.end()));
        if (found == model.end()) break;
        found->second.deadline = deadline;
        if (deadline <= now) model.erase(found);
        break;
      case 4: {
        const bool had = found != model.end() && found->second.deadline >= 0;
        CHECK(keyspace.persist(key) == had);
        if (had) found->second.deadline = -1;
        break;
      }
      case 5: {
        const std::size_t length = keyspace.append(key, "x");
        if (found == model.end()) model[key] = {"", -1};
        CHECK((model[key].value += "x").size() == length);
        break;
      }
      case 6:
        keyspace.expire_due(rng() % 10);
        break;
      default:
        CHECK(get(key) ==
              (found == model.end() ? std::nullopt : std::optional(found->second.value)));
    }
  }
  while (keyspace.expire_due(100) != 0) {
  }
  REQUIRE(keyspace.size() == model.size());
  for (const auto& [key, entry] : model) {
    CHECK(get(key) == entry.value);
    CHECK(keyspace.expires_at(key).value_or(-1) == entry.deadline);
  }
}

TEST_CASE_FIXTURE(Fixture,
                  "engine/keyspace: a range is written over, and zeros fill what is missing") {
  CHECK(keyspace.write_range("new", 2, "xy") == 4);
  CHECK(get("new") == std::string("\0\0xy", 4));
  CHECK(keyspace.write_range("new", 0, "ab") == 4);
  CHECK(keyspace.write_range("new", 3, "cd") == 5);
  CHECK(get("new") == "abxcd");
  keyspace.set("text", std::string("0123456789"));
  keyspace.expire_at("text", 1000);
  CHECK(keyspace.write_range("text", 9, "!") == 10);
  CHECK(get("text") == "012345678!");
  CHECK(keyspace.expires_at("text") == 1000);
}

TEST_CASE_FIXTURE(Fixture, "engine/keyspace: what is lent comes back, and is never freed here") {
  const std::shared_ptr<Collection> nobody;
  keyspace.lend("text", std::string("lent"));
  keyspace.lend("index", Value(nobody));
  CHECK(get("text") == "lent");
  CHECK(keyspace.collection_names().contains("index"));
  keyspace.set("text", std::string("changed"));
  const auto text = keyspace.take_back("text");
  REQUIRE(text.has_value());
  CHECK(std::get<std::string>(*text) == "changed");
  const auto index = keyspace.take_back("index");
  REQUIRE(index.has_value());
  CHECK(std::holds_alternative<std::shared_ptr<Collection>>(*index));
  CHECK_FALSE(keyspace.take_back("index").has_value());
  CHECK(keyspace.size() == 0);
  CHECK(keyspace.collection_names().empty());
  CHECK(keyspace.all_collections().empty());
  CHECK(reaped.empty());
}

TEST_CASE_FIXTURE(Fixture, "engine/keyspace: a renamed key takes its value and its time along") {
  keyspace.set("from", std::string("value"));
  keyspace.expire_at("from", 1000);
  keyspace.set("to", std::string("former"));
  keyspace.expire_at("to", 500);
  keyspace.rename("from", "to");
  CHECK(keyspace.size() == 1);
  CHECK(keyspace.expiring() == 1);
  CHECK(get("to") == "value");
  CHECK(keyspace.expires_at("to") == 1000);
  keyspace.set("lasting", std::string("x"));
  keyspace.rename("lasting", "to");
  CHECK_FALSE(keyspace.expires_at("to"));
  CHECK(keyspace.expiring() == 0);
}

TEST_CASE_FIXTURE(Fixture, "engine/keyspace: every key is drawn, and none that has expired") {
  CHECK_FALSE(keyspace.random_key(7));
  keyspace.set_now(100);
  for (int i = 0; i < 50; ++i) keyspace.set("key:" + std::to_string(i), std::string());
  std::map<std::string, int> drawn;
  for (std::uint64_t i = 0; i < 50; ++i) ++drawn[std::string(*keyspace.random_key(i))];
  CHECK(drawn.size() == 50);
  for (int i = 1; i < 50; ++i) keyspace.expire_at("key:" + std::to_string(i), 200);
  keyspace.set_now(200);
  for (std::uint64_t i = 0; i < 50; ++i) CHECK(keyspace.random_key(i) == "key:0");
  keyspace.expire_at("key:0", 300);
  keyspace.set_now(300);
  CHECK_FALSE(keyspace.random_key(3));
}

TEST_CASE_FIXTURE(Fixture, "engine/keyspace: idle time ends where a value is read or written") {
  keyspace.set_now(10'000);
  keyspace.set("a", std::string("x"));
  const auto idle = [&] { return keyspace.describe("a")->idle_seconds; };
  keyspace.set_now(15'000);
  CHECK(idle() == 5);
  keyspace.look("a");
  keyspace.peek("a");
  CHECK(idle() == 5);
  keyspace.set_touching(false);
  keyspace.find("a");
  CHECK(idle() == 5);
  keyspace.set_touching(true);
  keyspace.find("a");
  CHECK(idle() == 0);
  keyspace.set_now(20'000);
  keyspace.append("a", "y");
  CHECK(idle() == 0);
  keyspace.set_now(12'000);  // the clock was set back
  CHECK(idle() == 0);
  CHECK(keyspace.touch("a"));
  CHECK_FALSE(keyspace.touch("none"));
}

TEST_CASE_FIXTURE(Fixture, "engine/keyspace: keys are bytes, empty ones too") {
  const std::string zeros("\0\0", 2);
  keyspace.set("", std::string("empty"));
  keyspace.set(zeros, std::string("zeros"));
  CHECK(get("") == "empty");
  CHECK(get(zeros) == "zeros");
  CHECK_FALSE(get(std::string_view(zeros).substr(1)));
}

TEST_CASE_FIXTURE(Fixture, "engine/keyspace: an expired key is gone before anyone collects it") {
  keyspace.set_now(100);
  keyspace.set("k", std::string("v"));
  keyspace.expire_at("k", 200);
  CHECK(keyspace.next_expiry() == 200);
  keyspace.set_now(199);
  CHECK(keyspace.contains("k"));
  keyspace.set_now(200);
  CHECK(walk(10, [] {}).empty());
  CHECK_FALSE(keyspace.contains("k"));
  CHECK(keyspace.size() == 0);
  CHECK(keyspace.expiring() == 0);
  CHECK(keyspace.stats().expired == 1);
}

TEST_CASE_FIXTURE(Fixture, "engine/keyspace: expire_due removes no more than it was told") {
  for (int i = 0; i < 100; ++i) {
    keyspace.set(std::to_string(i), std::string("v"));
    keyspace.expire_at(std::to_string(i), 10 + i);
  }
  keyspace.set_now(59);
  CHECK(keyspace.expire_due(20) == 20);
  CHECK(keyspace.expire_due(100) == 30);
  CHECK(keyspace.expire_due(100) == 0);
  CHECK(keyspace.size() == 50);
}

TEST_CASE_FIXTURE(Fixture, "engine/keyspace: collections and cleared tables go to the reaper") {
  const auto collection = std::shared_ptr<Collection>(std::make_shared<int>(1), nullptr);
  keyspace.set("c", collection);
  CHECK(type_name(*keyspace.peek("c")) == "vectorset");
  keyspace.set("c", std::string("now a string"));
  CHECK(reaped.size() == 1);
  keyspace.set("c", collection);
  keyspace.erase("c");
  CHECK(reaped.size() == 2);
  keyspace.set("d", collection);
  keyspace.expire_at("d", 5);
  keyspace.set_now(5);
  CHECK_FALSE(keyspace.contains("d"));
  CHECK(reaped.size() == 3);
  keyspace.set("e", std::string("string"));
  keyspace.expire_at("e", 100);
  keyspace.clear();
  CHECK(reaped.size() == 4);
  CHECK(keyspace.size() == 0);
  CHECK(keyspace.expiring() == 0);
  CHECK_FALSE(keyspace.contains("e"));
  keyspace.set("e", std::string("again"));
  CHECK(get("e") == "again");
}

TEST_CASE_FIXTURE(Fixture, "engine/keyspace: SCAN visits each key exactly once for any COUNT") {
  for (int i = 0; i < 3000; ++i) keyspace.set("key:" + std::to_string(i), std::string("v"));
  for (const std::size_t count : {1U, 2U, 7U, 100U, 2999U, 3000U, 100'000U}) {
    const auto visits = walk(count, [] {});
    CHECK(visits.size() == 3000);
    for (const auto& [key, times] : visits) CHECK(times == 1);
  }
}

TEST_CASE_FIXTURE(Fixture,
                  "engine/keyspace: SCAN misses nothing while the tables grow and shrink") {
  auto rng = test::make_rng(6);
  for (int i = 0; i < 2000; ++i) keyspace.set("stays:" + std::to_string(i), std::string("v"));
  int added = 0;
  std::size_t largest = 0;
  const auto visits = walk(5, [&] {
    for (int i = 0; i < 100 && added < 30'000; ++i)
      keyspace.set("new:" + std::to_string(added++), std::string("v"));
    largest = std::max(largest, keyspace.size());
    for (int i = 0; i < 20; ++i) {
      keyspace.erase("new:" + std::to_string(rng() % static_cast<std::uint64_t>(added)));
    }
  });
  CHECK(largest > 20'000);
  CHECK(keyspace.size() < largest);
  for (int i = 0; i < 2000; ++i) CHECK(visits.at("stays:" + std::to_string(i)) == 1);
}

TEST_CASE_FIXTURE(Fixture, "engine/keyspace: SCAN answers any cursor") {
  keyspace.set("k", std::string("v"));
  const auto ignore = [](std::string_view, const Value&) {};
  CHECK(keyspace.scan(std::uint64_t{1} << 48, 10, ignore) == 0);
  CHECK(keyspace.scan(~std::uint64_t{0}, 10, ignore) == 0);
  CHECK(keyspace.scan((std::uint64_t{1} << 48) - 1, 10, ignore) == 0);
}

}  // namespace
}  // namespace engram::keyspace_test
