// SPDX-License-Identifier: Apache-2.0
// VRECALL, VENERGY, VTUNE and VDIAG over real sockets: what they take, what they answer, and what
// is left of a tuning after a restart.
#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <string>
#include <thread>
#include <vector>

#include "server/durability/change.h"
#include "server/durability/journal.h"
#include "server/durability/store_files.h"
#include "server/requests/mask.h"
#include "tests/server/store_server.h"
#include "tests/support/temporary_directory.h"

namespace engram::recall_command_test {
namespace {

using test::request;
using test::RespClient;
using test::StoreServer;

std::string mask(std::string_view text, std::size_t dim = 10) {
  const auto ranges = read_mask(text, "x", dim);
  if (!ranges) return ranges.error().message;
  std::string shown;
  for (const auto [begin, end] : *ranges) {
    shown += "[" + std::to_string(begin) + "," + std::to_string(end) + ")";
  }
  return shown;
}

TEST_CASE("commands/vector_arguments: ranges of a mask are sorted and merged") {
  CHECK(mask("").empty());
  CHECK(mask("5") == "[5,6)");
  CHECK(mask("0-3,7-9") == "[0,4)[7,10)");
  CHECK(mask("7-9,0-3") == "[0,4)[7,10)");
  CHECK(mask("0-3,4-5") == "[0,6)");
  CHECK(mask("2-8,3-4,8") == "[2,9)");
  CHECK(mask("9,9,0") == "[0,1)[9,10)");
  CHECK(mask("0-9") == "[0,10)");
  CHECK(mask("0,2,0,2,0,2,0,2", 3) == "[0,1)[2,3)");  // more ranges than coordinates
  CHECK(mask("0,0,0", 1) == "[0,1)");
}

TEST_CASE("commands/vector_arguments: a bad mask is refused with what is wrong with it") {
  constexpr std::string_view kExpected = "in MASK, expected ranges as in 0-391,5,600-700";
  for (const std::string text :
       {"x", "-3", "1-", "1-2-3", "+1", "1 ", "1.5", "-", "1,,2", ",1", "18446744073709551616"}) {
    CAPTURE(text);
    CHECK(mask(text).find(kExpected) != std::string::npos);
  }
  CHECK(mask("1,") == "bad range '' in MASK, a range must follow the last comma");
  CHECK(mask("0-1,9-3") == "bad range '9-3' in MASK, it ends before it begins");
  CHECK(mask("3-10") == "bad range '3-10' in MASK, index 'x' has 10 dimensions, counted from 0");
  CHECK(mask("18446744073709551615").find("has 10 dimensions") != std::string::npos);
}

std::string packed_pair(float x, float y) {
  const std::array<float, 2> values = {x, y};
  return std::string(packed(values));
}

std::string bulk(std::string_view text) {
  return "$" + std::to_string(text.size()) + "\r\n" + std::string(text) + "\r\n";
}

std::string simple(std::string_view text) {
  return "+" + std::string(text) + "\r\n";
}

/// A server in memory, and an index of two vectors whose mean is (2, 0).
class Fixture {
 public:
  Fixture() : server(std::move(*StoreServer::start("", posix_file_system()))) {
    client = std::make_unique<RespClient>(server->connect());
    REQUIRE(ask({"VNEW", "m", "2", "METRIC", "l2", "PRIMITIVE", "mean"}) == "+OK\r\n");
    REQUIRE(ask({"VMADD", "m", "a", packed_pair(0, 0), "b", packed_pair(4, 0)}) == ":2\r\n");
  }
  std::string ask(std::initializer_list<std::string_view> words) { return client->ask(words); }
  void speak_resp3() { REQUIRE(ask({"HELLO", "3"}).starts_with("%")); }

  std::unique_ptr<StoreServer> server;
  std::unique_ptr<RespClient> client;
};

TEST_CASE_FIXTURE(Fixture, "commands/vector_recall: the reply in RESP3") {
  speak_resp3();
  CHECK(ask({"VRECALL", "m", "VEC", packed_pair(3, 0)}) ==
        "%18\r\n" + simple("state") + bulk(packed_pair(2, 0)) + simple("attractor") + bulk("a") +
            simple("weight") + ",0.5\r\n" + simple("distance") + ",2\r\n" + simple("onestep") +
            bulk("b") + simple("posterior") + ",0.5\r\n" + simple("entropy") +
            ",0.6931471805599453\r\n" + simple("kind") + bulk("global") + simple("outside") +
            "#f\r\n" + simple("neff") + ",2\r\n" + simple("support") + "*4\r\n" + bulk("a") +
            ",0.5\r\n" + bulk("b") + ",0.5\r\n" + simple("energy") + "*2\r\n,1\r\n,0\r\n" +
            simple("steps") + ":2\r\n" + simple("converged") + "#t\r\n" + simple("novel") +
            "_\r\n" + simple("trunc") + ",0\r\n" + simple("cert") + bulk("exact") + simple("beta") +
            ",0\r\n");
}

TEST_CASE_FIXTURE(Fixture, "commands/vector_recall: the reply in RESP2, where there is nothing") {
  REQUIRE(ask({"VDEL", "m", "a"}) == ":1\r\n");
  REQUIRE(ask({"VDEL", "m", "b"}) == ":1\r\n");
  CHECK(ask({"VRECALL", "m", "VEC", packed_pair(3, 0)}) ==
        "*36\r\n" + simple("state") + bulk(packed_pair(3, 0)) + simple("attractor") + "$-1\r\n" +
            simple("weight") + bulk("0") + simple("distance") + "$-1\r\n" + simple("onestep") +
            "$-1\r\n" + simple("posterior") + bulk("0") + simple("entropy") + bulk("0") +
            simple("kind") + bulk("empty") + simple("outside") + ":0\r\n" + simple("neff") +
            bulk("0") + simple("support") + "*0\r\n" + simple("energy") + "*0\r\n" +
            simple("steps") + ":0\r\n" + simple("converged") + ":0\r\n" + simple("novel") +
            "$-1\r\n" + simple("trunc") + bulk("0") + simple("cert") + bulk("exact") +
            simple("beta") + bulk("0"));
  CHECK(ask({"VENERGY", "m", packed_pair(3, 0)}) == bulk("inf"));
  speak_resp3();
  CHECK(ask({"VENERGY", "m", packed_pair(3, 0)}) == ",inf\r\n");
}

TEST_CASE_FIXTURE(Fixture, "commands/vector_recall: masks, keys, traces, TOP and options") {
  const auto state_of = [&](std::string_view ranges) {
    const std::string reply =
        ask({"VRECALL", "m", "VEC", packed_pair(3, 7), "MASK", ranges, "top", "0"});
    CHECK(reply.find(simple("support") + "*0\r\n") != std::string::npos);
    return reply.substr(std::string("*36\r\n+state\r\n").size(), bulk(packed_pair(0, 0)).size());
  };
  CHECK(state_of("1") == bulk(packed_pair(2, 7)));
  CHECK(state_of("0") == bulk(packed_pair(3, 0)));
  CHECK(state_of("") == bulk(packed_pair(2, 0)));
  CHECK(state_of("1,0") == bulk(packed_pair(2, 0)));  // as without a mask
  const std::string traced =
      ask({"VRECALL", "m", "key", "b", "SCALE", "3", "withtrace", "TOP", "1"});
  CHECK(traced.find(simple("energy") + "*3\r\n" + bulk("6") + bulk("3") + bulk("0")) !=
        std::string::npos);
  CHECK(traced.find(simple("support") + "*2\r\n" + bulk("a") + bulk("0.5")) != std::string::npos);
  CHECK(ask({"VENERGY", "m", packed_pair(5, 0), "SCALE", "2"}) == bulk("6"));
}

TEST_CASE_FIXTURE(Fixture, "commands/vector_recall: errors say what was wrong") {
  REQUIRE(ask({"VNEW", "hash", "2", "PRIMITIVE", "lsh"}) == "+OK\r\n");
  REQUIRE(ask({"VNEW", "dot", "2", "METRIC", "dot", "PRIMITIVE", "mean"}) == "+OK\r\n");
  const std::string vector = packed_pair(1, 1);
  const auto check = [&](std::initializer_list<std::string_view> words, std::string_view expected) {
    const std::string reply = ask(words);
    CAPTURE(reply);
    CHECK(reply.starts_with("-ERR "));
    CHECK(reply.find(expected) != std::string::npos);
  };
  constexpr std::string_view kAble = "cannot recall, those that can: ";
  for (const std::string_view command : {"VTUNE", "VDIAG"}) {
    check({command, "none"}, "no such index 'none'");
    check({command, "m", "SAMPLE", "1"}, "SAMPLE must be an integer in 2..4096, got '1'");
    check({command, "m", "SEED", "-1"}, "SEED must be an integer in 0..18446744073709551615");
    check({command, "m", "NOISE", "1"},
          "unknown option 'NOISE', known options are SCALE, SAMPLE, SEED");
    check({command, "m", "SEED"}, "option 'SEED' has no value");
  }
  check({"VDIAG", "hash"}, kAble);
  CHECK(ask({"VTUNE", "hash"}) == "*0\r\n");  // what it could learn, its effort, needs items
  check({"VRECALL", "hash", "VEC", vector}, "mean, mean.saved");
  check({"VENERGY", "hash", vector}, kAble);
  check({"VRECALL", "m", vector, "TOP"}, "expected VEC vector or KEY key after the index, got");
  check({"VRECALL", "m", "KEY", "none"}, "index 'm' has no key 'none' to recall by");
  check({"VRECALL", "m", "VEC", vector.substr(4)}, "vector has 1 dimensions, index 'm' has 2");
  check({"VRECALL", "m", "VEC", "king"}, "the vector is the text 'king', expected packed float32");
  check({"VRECALL", "m", "VEC", vector, "MASK", "2"}, "index 'm' has 2 dimensions");
  check({"VRECALL", "m", "VEC", vector, "MASK"}, "option 'MASK' has no value");
  check({"VRECALL", "m", "VEC", vector, "TOP", "-1"}, "TOP must be an integer in 0..");
  check({"VRECALL", "m", "VEC", vector, "TOP", "1", "TOP", "2"}, "option TOP is given twice");
  check({"VRECALL", "m", "VEC", vector, "SCALE", "-1"}, "option SCALE must be a number in");
  check({"VRECALL", "m", "VEC", vector, "EF", "1"},
        "unknown option 'EF', known options are SCALE, MASK, TOP, FILTER, WITHTRACE, WITHMEAN");
  check({"VRECALL", "dot", "VEC", vector}, "the mean means nothing under dot");
  REQUIRE(ask({"VDEL", "m", "a"}) == ":1\r\n");
  check({"VTUNE", "m"}, "at least 2 items are needed to tune, there are 1");
}

TEST_CASE_FIXTURE(Fixture, "commands/vector_tune: VTUNE answers numbers, VDIAG facts, VINFO both") {
  speak_resp3();
  CHECK(ask({"VDIAG", "m", "SAMPLE", "2", "SEED", "7"}) == "%3\r\n" + simple("sample") + ":2\r\n" +
                                                               simple("radius") + ",2\r\n" +
                                                               simple("mode") + bulk("looks"));
  CHECK(ask({"VTUNE", "m", "SCALE", "2"}) ==
        "%2\r\n" + simple("radius") + ",4\r\n" + simple("items") + ",2\r\n");
  CHECK(ask({"VINFO", "m"}).find(simple("radius") + ",4\r\n") != std::string::npos);
  const std::string recalled = ask({"VRECALL", "m", "VEC", packed_pair(9, 0)});
  CHECK(recalled.find(simple("novel") + "#t\r\n") != std::string::npos);
  CHECK(recalled.find(simple("beta") + ",4\r\n") != std::string::npos);
}

/// What VINFO says of the radius of each index.
std::vector<std::string> radii(const StoreServer& server) {
  std::vector<std::string> found;
  RespClient client = server.connect();
  for (const std::string_view index : {"mean", "mean.saved"}) {
    const std::string info = client.ask({"VINFO", index});
    const std::size_t at = info.find("+radius\r\n");
    REQUIRE(at != std::string::npos);
    found.push_back(info.substr(at));
  }
  return found;
}

void fill(RespClient& client, std::string_view index) {
  REQUIRE(client.ask({"VNEW", index, "4", "METRIC", "l2", "PRIMITIVE", index}) == "+OK\r\n");
  for (int i = 0; i < 40; ++i) {
    REQUIRE(client.ask({"VADD", index, std::to_string(i), test::packed_vector(i)}) == ":1\r\n");
  }
}

TEST_CASE("commands/vector_tune: a tuning outlives restarts, by the journal and by a snapshot") {
  const test::TemporaryDirectory directory;
  const auto start = [&] {
    return std::move(*StoreServer::start(directory.path(), posix_file_system()));
  };
  std::vector<std::string> tuned;
  {
    const auto server = start();
    RespClient client = server->connect();
    for (const std::string_view index : {"mean", "mean.saved"}) {
      fill(client, index);
      REQUIRE(test::is_success(client.ask({"VTUNE", index, "SCALE", "0.125"})));
      REQUIRE(test::is_success(client.ask({"VTUNE", index, "SCALE", "0.25", "SAMPLE", "30"})));
    }
    tuned = radii(*server);
    CHECK(tuned[0] != "+radius\r\n" + bulk("0"));
  }
  {
    const auto server = start();
    CHECK(radii(*server) == tuned);
    RespClient client = server->connect();
    REQUIRE(client.ask({"VSAVE"}) == "+OK\r\n");
  }
  {
    const auto server = start();
    CHECK(radii(*server) == tuned);
    RespClient client = server->connect();
    REQUIRE(test::is_success(client.ask({"VTUNE", "mean", "SCALE", "7"})));
    tuned[0] = radii(*server)[0];
  }
  CHECK(radii(*start()) == tuned);
}

TEST_CASE("commands/vector_tune: numbers of a journal that are none stop the start") {
  for (const double bad : {std::nan(""), double{INFINITY}}) {
    const test::TemporaryDirectory directory;
    {
      const auto files = std::move(*StoreFiles::open(posix_file_system(), directory.path()));
      files->set_id({std::byte{1}});
      const auto journal = std::move(*Journal::open(*files, 1, FsyncPolicy::kAlways, [] {}));
      journal->record(NewCollection{"mean", kNeverExpires, 1, 4, "l2", "mean", {}});
      journal->record(TuneIndex{7, {{"of nobody", bad}}});
      journal->record(TuneIndex{1, {{"radius", bad}}});
      REQUIRE(journal->seal() == 1);
      REQUIRE(journal->close().has_value());
    }
    const auto server = StoreServer::start(directory.path(), posix_file_system());
    REQUIRE_FALSE(server.has_value());
    CHECK(server.error().code == ErrorCode::kDataLoss);
    CHECK(server.error().message.find("frame 1 of the journal: the number 'radius' of a tuning") !=
          std::string::npos);
  }
}

TEST_CASE("commands/vector_tune: tunes while clients write, recall and save") {
  const test::TemporaryDirectory directory;
  std::vector<std::string> tuned;
  {
    const auto server = std::move(*StoreServer::start(directory.path(), posix_file_system()));
    RespClient client = server->connect();
    for (const std::string_view index : {"mean", "mean.saved"}) fill(client, index);
    std::vector<std::thread> writers;
    for (const std::string index : {"mean", "mean.saved"}) {
      writers.emplace_back([&server, index] {
        RespClient writer = server->connect();
        for (int i = 0; i < 300; ++i) {
          const std::string name = std::to_string(i % 40);
          writer.send(request({"VADD", index, name, test::packed_vector(i)}) +
                      request({"VRECALL", index, "KEY", "1", "TOP", "40"}));
          CHECK(test::is_success(writer.reply()));
          CHECK(test::is_success(writer.reply()));
        }
      });
    }
    for (int i = 0; i < 20; ++i) {
      const std::string scale = std::to_string(1 + i);
      if (i == 10) CHECK(test::is_success(client.ask({"BGSAVE"})));
      for (const std::string_view index : {"mean", "mean.saved"}) {
        CHECK(test::is_success(client.ask({"VTUNE", index, "SCALE", scale})));
        CHECK(test::is_success(client.ask({"VDIAG", index})));
      }
    }
    for (std::thread& writer : writers) writer.join();
    tuned = radii(*server);
  }
  CHECK(radii(**StoreServer::start(directory.path(), posix_file_system())) == tuned);
}

}  // namespace
}  // namespace engram::recall_command_test
