// SPDX-License-Identifier: Apache-2.0
#include "server/hosts/embedded/embedded_store.h"

#include <doctest/doctest.h>

#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "tests/server/store_server.h"
#include "tests/support/no_more_threads.h"
#include "tests/support/temporary_directory.h"

namespace engram::test::embedded_store_test {
namespace {

using Vector = std::vector<float>;

const EmbeddedStore::OptionList kFlat = {{"METRIC", "l2"}, {"PRIMITIVE", "flat"}};

std::unique_ptr<EmbeddedStore> open(const std::string& directory) {
  return std::move(
      EmbeddedStore::open(
          {.store = {.directory = directory, .fsync = FsyncPolicy::kAlways, .workers = 2}})
          .value());
}

TEST_CASE("hosts/embedded: what was put is there when the directory is opened again") {
  const TemporaryDirectory folder;
  {
    const auto store = open(folder.path());
    REQUIRE(store->create_index("notes", 2, kFlat));
    REQUIRE(store->put("notes", "a", Vector{1, 2}).value());
    REQUIRE(store->save());
    REQUIRE(store->put("notes", "b", Vector{3, 4}).value());
    CHECK(store->close());
  }
  const auto store = open(folder.path());
  CHECK(store->get("notes", "a").value() == Vector{1, 2});
  CHECK(store->get("notes", "b").value() == Vector{3, 4});
}

TEST_CASE("hosts/embedded: a server opens the directory after a process, and the reverse") {
  const TemporaryDirectory folder;
  {
    const auto store = open(folder.path());
    REQUIRE(store->create_index("notes", 4, kFlat));
    REQUIRE(store->put("notes", "a", Vector{1, 2, 3, 4}));
  }
  {
    const auto server = std::move(StoreServer::start(folder.path(), posix_file_system()).value());
    RespClient client = server->connect();
    CHECK(client.ask({"VLIST"}) == "*1\r\n$5\r\nnotes\r\n");
    CHECK(client.ask({"VADD", "notes", "b", packed_vector(1)}) == ":1\r\n");
    CHECK_FALSE(EmbeddedStore::open({.store = {.directory = folder.path()}}));
  }
  const auto store = open(folder.path());
  CHECK(store->search("notes", Vector{1, 2, 3, 4}, 5).value().size() == 2);
}

TEST_CASE("hosts/embedded: where no thread is to be had opening is an error, not the end") {
  const TemporaryDirectory folder;
  {
    const NoMoreThreads none;
    const auto store = EmbeddedStore::open({.store = {.directory = folder.path()}});
    REQUIRE_FALSE(store);
    CHECK(store.error().code == ErrorCode::kResourceExhausted);
    const auto server = StoreServer::start(folder.path(), posix_file_system());
    REQUIRE_FALSE(server);
    CHECK(server.error().code == ErrorCode::kResourceExhausted);
  }
  CHECK(open(folder.path())->close());
}

TEST_CASE("hosts/embedded: a copy of a store goes its own way") {
  const TemporaryDirectory folder;
  const TemporaryDirectory elsewhere;
  const auto store = open(folder.path());
  REQUIRE(store->create_index("notes", 2, kFlat));
  REQUIRE(store->put("notes", "a", Vector{1, 2}).value());
  REQUIRE(store->save(elsewhere.path()));
  REQUIRE(store->put("notes", "b", Vector{3, 4}).value());
  CHECK(store->save(elsewhere.path()).error().code == ErrorCode::kAlreadyExists);

  const auto copy = open(elsewhere.path());
  CHECK(copy->get("notes", "a").value() == Vector{1, 2});
  CHECK_FALSE(copy->get("notes", "b").value());
  CHECK(copy->put("notes", "c", Vector{5, 6}).value());
  CHECK_FALSE(store->get("notes", "c").value());
}

TEST_CASE("hosts/embedded: calls of many threads run beside each other") {
  const TemporaryDirectory folder;
  const auto store = open(folder.path());
  REQUIRE(store->create_index("notes", 2, kFlat));
  constexpr int kThreads = 6;
  constexpr int kItems = 40;
  std::vector<std::thread> threads;
  std::vector<int> failures(kThreads, 0);
  for (int number = 0; number < kThreads; ++number) {
    threads.emplace_back([&, number] {
      for (int i = 0; i < kItems; ++i) {
        const std::string key = std::to_string(number) + ":" + std::to_string(i);
        const Vector vector = {static_cast<float>(number), static_cast<float>(i)};
        const auto put = store->put("notes", key, vector);
        const auto found = store->search("notes", vector, 1);
        const bool is_right = put && *put && found && found->front().key == key;
        failures[static_cast<std::size_t>(number)] += is_right ? 0 : 1;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(failures == std::vector<int>(kThreads, 0));
  const auto size = store->search("notes", Vector{0, 0}, 1000);
  CHECK(size.value().size() == kThreads * kItems);
}

TEST_CASE("hosts/embedded: a search runs on the thread that asks") {
  const auto store = open("");
  REQUIRE(store->create_index("notes", 2, {{"METRIC", "l2"}, {"PRIMITIVE", "mean"}}));
  REQUIRE(store->put("notes", "a", Vector{1, 2}));
  const auto searched_by = [&]() -> std::string {
    const auto facts = store->describe_index("notes");
    for (const Fact& fact : facts.value()) {
      if (fact.name == "searched-by") return fact.value;
    }
    return "nobody";
  };
  const auto id_of = [](std::thread::id id) {
    return std::to_string(std::hash<std::thread::id>{}(id));
  };
  REQUIRE(store->search("notes", Vector{1, 2}, 1));
  CHECK(searched_by() == id_of(std::this_thread::get_id()));
  std::thread other([&] { REQUIRE(store->search("notes", Vector{1, 2}, 1)); });
  const std::thread::id others = other.get_id();
  other.join();
  CHECK(searched_by() == id_of(others));
}

TEST_CASE("hosts/embedded: a closed store refuses calls") {
  const auto store = open("");
  CHECK(store->close());
  CHECK(store->close());
  CHECK(store->list_indexes().error().code == ErrorCode::kUnsupported);
}

TEST_CASE("hosts/embedded: what is in memory only is copied while others write") {
  const TemporaryDirectory folder;
  const auto store = open("");
  REQUIRE(store->create_index("notes", 2, kFlat));
  REQUIRE(store->put("notes", "early", Vector{1, 2}, {{"SETATTR", R"({"year":1999})"}}).value());
  std::atomic<bool> ends = false;
  bool is_right = true;
  std::thread writer([&] {
    for (int i = 0; !ends.load(); ++i) {
      const std::string key = "late" + std::to_string(i);
      is_right = is_right && store->put("notes", key, Vector{3, 4}).value_or(false);
    }
  });
  const Status saved = store->save(folder.path());
  ends.store(true);
  writer.join();
  REQUIRE(saved);
  CHECK(is_right);
  CHECK(store->save(folder.path()).error().code == ErrorCode::kAlreadyExists);

  const auto copy = open(folder.path());
  CHECK(copy->get("notes", "early").value() == Vector{1, 2});
  CHECK(copy->attributes("notes", "early").value() == R"({"year":1999})");
  CHECK(copy->put("notes", "after", Vector{5, 6}).value());
  CHECK_FALSE(store->contains("notes", "after").value());
}

TEST_CASE("hosts/embedded: several keys are read at once, and all keys told in order") {
  const auto store = open("");
  REQUIRE(store->create_index("notes", 2, kFlat));
  const Vector one = {1, 2};
  const Vector two = {3, 4};
  const std::vector<EmbeddedStore::Item> items = {
      {.key = "b", .vector = one, .attributes = R"({"year":1999})"}, {.key = "a", .vector = two}};
  CHECK(store->put("notes", items).value() == 2);
  CHECK(store->size("notes").value() == 2);
  CHECK(store->contains("notes", "b").value());
  CHECK_FALSE(store->contains("notes", "c").value());
  CHECK(store->keys("notes").value() == std::vector<std::string>{"a", "b"});
  CHECK(store->attributes("notes", "b").value().has_value());
  CHECK_FALSE(store->attributes("notes", "a").value().has_value());
  const std::vector<std::string_view> keys = {"a", "c", "b"};
  const auto rows = store->get("notes", keys).value();
  CHECK(rows.values == Vector{3, 4, 0, 0, 1, 2});
  CHECK(rows.found == std::vector<bool>{true, false, true});
}

TEST_CASE("hosts/embedded: a store in memory only has no place to be saved in, and says so") {
  const auto store = open("");
  const Status saved = store->save();
  REQUIRE_FALSE(saved);
  CHECK(saved.error().message.find("in memory only") != std::string::npos);
}

}  // namespace
}  // namespace engram::test::embedded_store_test
