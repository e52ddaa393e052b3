// SPDX-License-Identifier: Apache-2.0
// One engine, many doors: every request, sent over RESP, inside MULTI and through the in-process
// facade, gets the same answer.
#include <doctest/doctest.h>

#include <array>
#include <cstring>
#include <functional>
#include <limits>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/hosts/embedded/embedded_store.h"
#include "tests/server/facade_replies.h"
#include "tests/server/store_server.h"
#include "tests/support/seed.h"

namespace engram::test::doors_test {
namespace {

using rendering::bytes_of;
using rendering::rendered;
using rendering::reply_of;
using rendering::Vector;
using Words = std::vector<std::string>;
using Options = EmbeddedStore::OptionList;

/// The fields by which two recalls differ if anything does.
std::string digest_of(const EmbeddedStore::Recollection& recollection) {
  std::string bytes = bytes_of(recollection.recall.state) + *recollection.attractor;
  for (const std::string& key : recollection.support) bytes += key;
  return bytes;
}

struct Case {
  Words command;
  std::function<std::string(EmbeddedStore&)> call;
};

const Vector kA = {1, 0, 0};
const Vector kB = {0, 1, 0};
const Vector kC = {0, 0.5F, 1};
const Vector kQuery = {0.9F, 0.2F, 0.1F};
const Vector kShort = {1, 2};

Result<std::vector<std::optional<double>>> touch(EmbeddedStore& store, std::string_view index,
                                                 const std::vector<std::string_view>& keys,
                                                 const Options& options = {}) {
  return store.touch(index, keys, options);
}

std::string attributes(EmbeddedStore& store, std::string_view key) {
  const auto text = store.attributes("memory", key);
  return rendered([&](ReplyWriter& writer) { *text ? writer.bulk(**text) : writer.null(); });
}

/// All kinds of requests, in an order in which each finds something, and what is refused.
std::vector<Case> cases() {
  using Store = EmbeddedStore;
  const Options hopfield = {{"METRIC", "l2"}, {"PRIMITIVE", "hopfield"}, {"BETA", "4"}};
  const Options fading = {{"METRIC", "l2"},
                          {"PRIMITIVE", "flat"},
                          {"DECAY", "exp 1000"},
                          {"OMEGA", "2"},
                          {"CLOCK", "logical"}};
  return {
      {{"VNEW", "memory", "3", "METRIC", "l2", "PRIMITIVE", "hopfield", "BETA", "4"},
       [=](Store& store) { return reply_of(store.create_index("memory", 3, hopfield)); }},
      {{"VNEW", "memory", "3"},
       [](Store& store) { return reply_of(store.create_index("memory", 3)); }},
      {{"VNEW", "wrong", "0"},
       [](Store& store) { return reply_of(store.create_index("wrong", 0)); }},
      {{"VNEW", "wrong", "3", "PRIMITIVE", "none"},
       [](Store& store) {
         return reply_of(store.create_index("wrong", 3, {{"PRIMITIVE", "none"}}));
       }},
      {{"VADD", "memory", "a", bytes_of(kA)},
       [](Store& store) { return reply_of(store.put("memory", "a", kA)); }},
      {{"VADD", "memory", "a", bytes_of(kA)},
       [](Store& store) { return reply_of(store.put("memory", "a", kA)); }},
      {{"VADD", "memory", "a", bytes_of(kShort)},
       [](Store& store) { return reply_of(store.put("memory", "a", kShort)); }},
      {{"VADD", "memory", "", bytes_of(kA)},
       [](Store& store) { return reply_of(store.put("memory", "", kA)); }},
      {{"VADD", "nowhere", "a", bytes_of(kA)},
       [](Store& store) { return reply_of(store.put("nowhere", "a", kA)); }},
      {{"VMADD", "memory", "b", bytes_of(kB), "c", bytes_of(kC), "a", bytes_of(kA)},
       [](Store& store) {
         const std::array<Store::Item, 3> items = {{{"b", kB}, {"c", kC}, {"a", kA}}};
         return reply_of(store.put("memory", items));
       }},
      {{"VGET", "memory", "c"}, [](Store& store) { return reply_of(store.get("memory", "c")); }},
      {{"VGET", "memory", "z"}, [](Store& store) { return reply_of(store.get("memory", "z")); }},
      {{"VSETATTR", "memory", "c", R"({"x":[1,{"y":null}]})"},
       [](Store& store) {
         return reply_of(store.set_attributes("memory", "c", R"({"x":[1,{"y":null}]})"));
       }},
      {{"VSETATTR", "memory", "z", "{}"},
       [](Store& store) { return reply_of(store.set_attributes("memory", "z", "{}")); }},
      {{"VSETATTR", "memory", "c", "[]"},
       [](Store& store) { return reply_of(store.set_attributes("memory", "c", "[]")); }},
      {{"VADD", "memory", "b", bytes_of(kB), "SETATTR", R"({"x":2})"},
       [](Store& store) {
         return reply_of(store.put("memory", "b", kB, {{"SETATTR", R"({"x":2})"}}));
       }},
      {{"VGETATTR", "memory", "c"}, [](Store& store) { return attributes(store, "c"); }},
      {{"VGETATTR", "memory", "b"}, [](Store& store) { return attributes(store, "b"); }},
      {{"VGETATTR", "memory", "a"}, [](Store& store) { return attributes(store, "a"); }},
      {{"VSEARCH", "memory", bytes_of(kQuery), "2"},
       [](Store& store) { return reply_of(store.search("memory", kQuery, 2)); }},
      {{"VSEARCH", "memory", bytes_of(kQuery), "9", "EF", "50"},
       [](Store& store) {
         return reply_of(store.search("memory", kQuery, 9, {{"EF", "50"}}));
       }},
      {{"VSEARCH", "memory", bytes_of(kQuery), "1", "STEPS", "3"},
       [](Store& store) {
         return reply_of(store.search("memory", kQuery, 1, {{"STEPS", "3"}}));
       }},
      {{"VSEARCH", "memory", bytes_of(kQuery), "2", "FILTER", "2 in .x or .x"},
       [](Store& store) {
         return reply_of(store.search("memory", kQuery, 2, {{"FILTER", "2 in .x or .x"}}));
       }},
      {{"VSEARCH", "memory", bytes_of(kQuery), "2", "FILTER", "(.x"},
       [](Store& store) {
         return reply_of(store.search("memory", kQuery, 2, {{"FILTER", "(.x"}}));
       }},
      {{"VSEARCH", "memory", bytes_of(kQuery), "0"},
       [](Store& store) { return reply_of(store.search("memory", kQuery, 0)); }},
      {{"VSEARCH", "memory", bytes_of(kShort), "1"},
       [](Store& store) { return reply_of(store.search("memory", kShort, 1)); }},
      {{"VSEARCH", "memory", bytes_of(kQuery), "1", "EF", "0"},
       [](Store& store) {
         return reply_of(store.search("memory", kQuery, 1, {{"EF", "0"}}));
       }},
      {{"VMSEARCH", "memory", "2", bytes_of(kA), bytes_of(kQuery), bytes_of(kC)},
       [](Store& store) {
         Vector queries = kA;
         queries.insert(queries.end(), kQuery.begin(), kQuery.end());
         queries.insert(queries.end(), kC.begin(), kC.end());
         return reply_of(store.search_batch("memory", {queries, kA.size()}, 2));
       }},
      {{"VENERGY", "memory", bytes_of(kQuery)},
       [](Store& store) { return reply_of(store.energy("memory", kQuery)); }},
      {{"VENERGY", "memory", bytes_of(kQuery), "FILTER", ".x"},
       [](Store& store) {
         return reply_of(store.energy("memory", kQuery, {{"FILTER", ".x"}}));
       }},
      {{"VENERGY", "memory", bytes_of(kQuery), "BETA", "-1"},
       [](Store& store) {
         return reply_of(store.energy("memory", kQuery, {{"BETA", "-1"}}));
       }},
      {{"VTUNE", "memory", "SAMPLE", "3", "SEED", "7"},
       [](Store& store) {
         return reply_of(store.tune("memory", {{"SAMPLE", "3"}, {"SEED", "7"}}));
       }},
      {{"VTUNE", "memory", "SAMPLE", "1"},
       [](Store& store) {
         return reply_of(store.tune("memory", {{"SAMPLE", "1"}}));
       }},
      {{"VDEL", "memory", "b"}, [](Store& store) { return reply_of(store.erase("memory", "b")); }},
      {{"VDEL", "memory", "b"}, [](Store& store) { return reply_of(store.erase("memory", "b")); }},
      {{"VLIST"}, [](Store& store) { return reply_of(store.list_indexes()); }},
      {{"VTOUCH", "memory", "a"},
       [](Store& store) { return reply_of(touch(store, "memory", {"a"})); }},
      {{"VSTRENGTH", "memory", "a"},
       [](Store& store) { return reply_of(store.strength("memory", "a")); }},
      {{"VADD", "memory", "a", bytes_of(kA), "STRENGTH", "2"},
       [](Store& store) {
         return reply_of(store.put("memory", "a", kA, {{"STRENGTH", "2"}}));
       }},
      {{"VNEW", "fading", "3", "METRIC", "l2", "PRIMITIVE", "flat", "DECAY", "exp", "1000", "OMEGA",
        "2", "CLOCK", "logical"},
       [=](Store& store) { return reply_of(store.create_index("fading", 3, fading)); }},
      {{"VNEW", "wrong", "3", "DECAY", "exp"},
       [](Store& store) {
         return reply_of(store.create_index("wrong", 3, {{"DECAY", "exp"}}));
       }},
      {{"VNEW", "wrong", "3", "DECAY", "static", "CLOCK", "wall"},
       [](Store& store) {
         return reply_of(store.create_index("wrong", 3, {{"DECAY", "static"}, {"CLOCK", "wall"}}));
       }},
      {{"VNEW", "wrong", "3", "PRIMITIVE", "dam", "DECAY", "static"},
       [](Store& store) {
         return reply_of(
             store.create_index("wrong", 3, {{"PRIMITIVE", "dam"}, {"DECAY", "static"}}));
       }},
      {{"VADD", "fading", "a", bytes_of(kA), "STRENGTH", "2", "AT", "1000"},
       [](Store& store) {
         return reply_of(store.put("fading", "a", kA, {{"STRENGTH", "2"}, {"AT", "1000"}}));
       }},
      {{"VADD", "fading", "b", bytes_of(kB), "AT", "3000"},
       [](Store& store) {
         return reply_of(store.put("fading", "b", kB, {{"AT", "3000"}}));
       }},
      {{"VADD", "fading", "b", bytes_of(kB)},
       [](Store& store) { return reply_of(store.put("fading", "b", kB)); }},
      {{"VADD", "fading", "b", bytes_of(kB), "STRENGTH", "0"},
       [](Store& store) {
         return reply_of(store.put("fading", "b", kB, {{"STRENGTH", "0"}}));
       }},
      {{"VADD", "fading", "c", bytes_of(kA), "AT", "3000", "UNLESS", "WITHIN", "0.25", "TOUCH",
        "2"},
       [](Store& store) {
         return reply_of(
             store.put_unless("fading", "c", kA, 0.25F, {{"AT", "3000"}, {"TOUCH", "2"}}));
       }},
      {{"VADD", "memory", "c", bytes_of(kA), "UNLESS", "WITHIN", "0.25", "TOUCH", "2"},
       [](Store& store) {
         return reply_of(store.put_unless("memory", "c", kA, 0.25F, {{"TOUCH", "2"}}));
       }},
      {{"VTOUCH", "fading", "a", "z", "b", "GAIN", "3", "AT", "2000"},
       [](Store& store) {
         return reply_of(touch(store, "fading", {"a", "z", "b"}, {{"GAIN", "3"}, {"AT", "2000"}}));
       }},
      {{"VTOUCH", "fading", "a", "AT", "-1"},
       [](Store& store) {
         return reply_of(touch(store, "fading", {"a"}, {{"AT", "-1"}}));
       }},
      {{"VSTRENGTH", "fading", "a", "AT", "3000"},
       [](Store& store) {
         return reply_of(store.strength("fading", "a", {{"AT", "3000"}}));
       }},
      {{"VSTRENGTH", "fading", "b"},
       [](Store& store) { return reply_of(store.strength("fading", "b")); }},
      {{"VSTRENGTH", "fading", "z"},
       [](Store& store) { return reply_of(store.strength("fading", "z")); }},
      {{"VADD", "fading", "c", bytes_of(kC), "AT", "4000", "HALFLIFE", "500"},
       [](Store& store) {
         return reply_of(store.put("fading", "c", kC, {{"AT", "4000"}, {"HALFLIFE", "500"}}));
       }},
      {{"VSTRENGTH", "fading", "c", "AT", "5000"},
       [](Store& store) {
         return reply_of(store.strength("fading", "c", {{"AT", "5000"}}));
       }},
      {{"VSEARCH", "fading", bytes_of(kQuery), "2"},
       [](Store& store) { return reply_of(store.search("fading", kQuery, 2)); }},
      {{"VSEARCH", "fading", bytes_of(kQuery), "1", "TOUCH", "5", "AT", "4000"},
       [](Store& store) {
         return reply_of(store.search("fading", kQuery, 1, {{"TOUCH", "5"}, {"AT", "4000"}}));
       }},
      {{"VMSEARCH", "fading", "2", "AT", "4000", "touch", "2", bytes_of(kQuery), bytes_of(kA)},
       [](Store& store) {
         Vector queries = kQuery;
         queries.insert(queries.end(), kA.begin(), kA.end());
         return reply_of(store.search_batch("fading", {queries, kA.size()}, 2,
                                            {{"AT", "4000"}, {"touch", "2"}}));
       }},
      {{"VENERGY", "fading", bytes_of(kQuery), "BETA", "1", "AT", "4000"},
       [](Store& store) {
         return reply_of(store.energy("fading", kQuery, {{"BETA", "1"}, {"AT", "4000"}}));
       }},
      {{"VSEARCH", "fading", bytes_of(kQuery), "1", "TOUCH", "5"},
       [](Store& store) {
         return reply_of(store.search("fading", kQuery, 1, {{"TOUCH", "5"}}));
       }},
      {{"VFORGET", "fading", "BELOW", "1e9", "LIMIT", "1", "DRYRUN"},
       [](Store& store) {
         return reply_of(store.forget("fading", 1e9, {{"LIMIT", "1"}}, true));
       }},
      {{"VFORGET", "fading", "BELOW", "-1"},
       [](Store& store) { return reply_of(store.forget("fading", -1)); }},
      {{"VSTRENGTH", "fading", "a", "AT", "4000"},
       [](Store& store) {
         return reply_of(store.strength("fading", "a", {{"AT", "4000"}}));
       }},
      {{"VSTRENGTH", "fading", "b", "AT", "4000"},
       [](Store& store) {
         return reply_of(store.strength("fading", "b", {{"AT", "4000"}}));
       }},
      {{"VFORGET", "fading", "BELOW", "inf", "AT", "9000"},
       [](Store& store) {
         return reply_of(
             store.forget("fading", std::numeric_limits<double>::infinity(), {{"AT", "9000"}}));
       }},
      {{"VSEARCH", "fading", bytes_of(kQuery), "2"},
       [](Store& store) { return reply_of(store.search("fading", kQuery, 2)); }},
      {{"VDROP", "fading"}, [](Store& store) { return reply_of(store.drop_index("fading")); }},
      {{"VDROP", "memory"}, [](Store& store) { return reply_of(store.drop_index("memory")); }},
      {{"VDROP", "memory"}, [](Store& store) { return reply_of(store.drop_index("memory")); }},
  };
}

std::string request_of(const Words& words) {
  std::string bytes = "*" + std::to_string(words.size()) + "\r\n";
  for (const std::string& word : words) {
    bytes += "$" + std::to_string(word.size()) + "\r\n" + word + "\r\n";
  }
  return bytes;
}

std::string ask(RespClient& client, const Words& words) {
  client.send(request_of(words));
  return client.reply();
}

std::unique_ptr<StoreServer> start_server() {
  return std::move(StoreServer::start("", posix_file_system()).value());
}

std::unique_ptr<EmbeddedStore> open_store() {
  return std::move(EmbeddedStore::open({.store = {.workers = 2}}).value());
}

TEST_CASE("server/doors: a request gets the same answer over RESP, inside MULTI and in process") {
  const auto plain = start_server();
  const auto transactional = start_server();
  RespClient direct = plain->connect();
  RespClient multi = transactional->connect();
  const auto store = open_store();
  for (const Case& each : cases()) {
    CAPTURE(each.command.front());
    CAPTURE(each.command.back());
    const std::string expected = ask(direct, each.command);
    CHECK(each.call(*store) == expected);
    REQUIRE(ask(multi, {"MULTI"}) == "+OK\r\n");
    REQUIRE(ask(multi, each.command) == "+QUEUED\r\n");
    CHECK(ask(multi, {"EXEC"}) == "*1\r\n" + expected);
  }
}

TEST_CASE("server/doors: one transaction answers as its commands do one by one") {
  const auto plain = start_server();
  const auto transactional = start_server();
  RespClient direct = plain->connect();
  RespClient multi = transactional->connect();
  std::string expected = "*" + std::to_string(cases().size()) + "\r\n";
  REQUIRE(ask(multi, {"MULTI"}) == "+OK\r\n");
  for (const Case& each : cases()) {
    expected += ask(direct, each.command);
    REQUIRE(ask(multi, each.command) == "+QUEUED\r\n");
  }
  CHECK(ask(multi, {"EXEC"}) == expected);
}

TEST_CASE("server/doors: a recall is the same over RESP and in process") {
  const auto server = start_server();
  RespClient client = server->connect();
  const auto store = open_store();
  const Options options = {{"METRIC", "l2"}, {"PRIMITIVE", "hopfield"}, {"BETA", "4"}};
  REQUIRE(store->create_index("memory", 3, options));
  REQUIRE(ask(client, {"VNEW", "memory", "3", "METRIC", "l2", "PRIMITIVE", "hopfield", "BETA",
                       "4"}) == "+OK\r\n");
  for (const auto& [key, vector] : {std::pair("a", kA), std::pair("b", kB), std::pair("c", kC)}) {
    REQUIRE(store->put("memory", key, vector));
    REQUIRE(ask(client, {"VADD", "memory", key, bytes_of(vector)}) == ":1\r\n");
  }
  const auto recollection = store->recall("memory", kQuery, {{"MASK", "0-1"}, {"TOP", "2"}});
  REQUIRE(recollection);
  const std::string reply =
      ask(client, {"VRECALL", "memory", "VEC", bytes_of(kQuery), "MASK", "0-1", "TOP", "2"});
  CHECK(reply.find(bytes_of(recollection->recall.state)) != std::string::npos);
  CHECK(reply.find("+attractor\r\n$1\r\n" + *recollection->attractor) != std::string::npos);
  CHECK(recollection->support.size() == 2);
  CHECK(digest_of(*recollection) ==
        digest_of(*store->recall("memory", kQuery, {{"TOP", "2"}, {"MASK", "0-1"}})));
  const auto refused = store->recall("memory", kQuery, {{"MASK", "7"}});
  REQUIRE_FALSE(refused);
  CHECK(ask(client, {"VRECALL", "memory", "VEC", bytes_of(kQuery), "MASK", "7"}) ==
        "-ERR " + refused.error().message + "\r\n");
}

TEST_CASE("server/doors: VINFO and VDIAG say in process what they say over RESP") {
  const auto server = start_server();
  RespClient client = server->connect();
  const auto store = open_store();
  REQUIRE(store->create_index("memory", 3, {{"PRIMITIVE", "hopfield"}}));
  ask(client, {"VNEW", "memory", "3", "PRIMITIVE", "hopfield"});
  for (const auto& [key, vector] : {std::pair("a", kA), std::pair("b", kB), std::pair("c", kC)}) {
    REQUIRE(store->put("memory", key, vector));
    ask(client, {"VADD", "memory", key, bytes_of(vector)});
  }
  const auto info = store->describe_index("memory");
  const auto diagnosis = store->diagnose("memory", {{"SAMPLE", "3"}});
  REQUIRE(info);
  REQUIRE(diagnosis);
  const std::string info_reply = ask(client, {"VINFO", "memory"});
  for (const Fact& fact : *info) {
    CAPTURE(fact.name);
    CHECK(info_reply.find("+" + fact.name + "\r\n") != std::string::npos);
  }
  const std::string diagnosis_reply = ask(client, {"VDIAG", "memory", "SAMPLE", "3"});
  for (const Fact& fact : *diagnosis) {
    CAPTURE(fact.name);
    CHECK(diagnosis_reply.find("+" + fact.name + "\r\n") != std::string::npos);
  }
}

TEST_CASE("server/doors: VDIAG counts the items that a search does not find") {
  const auto value_of = [](const std::vector<Fact>& facts, std::string_view name) {
    for (const Fact& fact : facts) {
      if (fact.name == name) return fact.value;
    }
    return std::string();
  };
  const auto store = open_store();
  // Walks that keep one candidate miss some of so many, in graphs of two links an item.
  REQUIRE(store->create_index(
      "graph", 3,
      {{"PRIMITIVE", "hnsw"}, {"M", "2"}, {"EF_CONSTRUCTION", "2"}, {"EF_SEARCH", "1"}}));
  REQUIRE(store->create_index("scan", 3, {{"PRIMITIVE", "flat"}}));
  auto rng = test::make_rng(71);
  std::normal_distribution<float> normal;
  for (int i = 0; i < 3000; ++i) {
    const std::array<float, 3> vector = {normal(rng), normal(rng), normal(rng)};
    for (const char* const index : {"graph", "scan"}) {
      REQUIRE(store->put(index, std::to_string(i), vector));
    }
  }
  const auto of_graph = store->diagnose("graph", {{"SAMPLE", "500"}});
  REQUIRE(of_graph);
  CHECK(value_of(*of_graph, "sought-items") == "500");
  const std::string unfound = value_of(*of_graph, "unfound-items");
  CHECK(unfound != "");
  CHECK(unfound != "0");
  const auto of_scan = store->diagnose("scan", {{"SAMPLE", "500"}});
  REQUIRE(of_scan);
  CHECK(value_of(*of_scan, "unfound-items") == "");  // there are none
}

}  // namespace
}  // namespace engram::test::doors_test
