// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <utility>

#include "server/hosts/cli/command_model.h"
#include "server/hosts/cli/invocation.h"
#include "server/hosts/cli/output.h"
#include "server/hosts/cli/place.h"
#include "server/hosts/cli/reply.h"
#include "tests/support/seed.h"
#include "tests/support/temporary_directory.h"

namespace engram::cli_test {
namespace {

/// The first reply of bytes that come `at_once` at a time, and then end.
Result<Reply> read_reply(std::string bytes, std::size_t at_once = 1) {
  ReplyReader reader([&](std::string& into) -> Status {
    if (bytes.empty()) return fail(ErrorCode::kIo, "it ended");
    into.append(bytes, 0, at_once);
    bytes.erase(0, at_once);
    return {};
  });
  return reader.read();
}

Reply reply_of(const std::string& bytes) {
  for (const std::size_t at_once : {1UL, 3UL, 1000UL}) {
    const auto reply = read_reply(bytes, at_once);
    REQUIRE(reply);
    if (at_once == 1000) return *reply;
  }
  return {};
}

std::string json_of(const std::string& bytes) {
  std::string json;
  JsonWriter writer(json);
  write_reply(writer, reply_of(bytes));
  return json;
}

TEST_CASE("cli/reply: every type of RESP3 is read, in pieces of any size") {
  CHECK(json_of("+OK\r\n") == R"("OK")");
  CHECK(json_of(":-12\r\n") == "-12");
  CHECK(json_of(",0.25\r\n") == "0.25");
  CHECK(json_of(",-inf\r\n") == "null");
  CHECK(json_of("#t\r\n") == "true");
  CHECK(json_of("_\r\n") == "null");
  CHECK(json_of("$-1\r\n") == "null");
  CHECK(json_of("$4\r\na\r\nb\r\n") == R"("a\u000d\u000ab")");
  CHECK(json_of("=5\r\ntxt:a\r\n") == R"("a")");
  CHECK(json_of("*2\r\n:1\r\n*0\r\n") == "[1,[]]");
  CHECK(json_of("~1\r\n:1\r\n") == "[1]");
  CHECK(json_of("%2\r\n+a\r\n:1\r\n+b\r\n,2.5\r\n") == R"({"a":1,"b":2.5})");
  CHECK(reply_of("-ERR no such index 'a'\r\n").error_text() == "no such index 'a'");
  CHECK(reply_of("-NOAUTH x\r\n").error_text() == "NOAUTH x");
}

TEST_CASE("cli/reply: what is no reply is refused, and makes nothing large") {
  for (const std::string bytes :
       {"hello\r\n", "\r\n", ":x\r\n", "$x\r\n", "$99999999999999\r\n", "*-2\r\n",
        "*99999999999\r\n", "*200000000\r\n:1\r\n",
        "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n"}) {
    CAPTURE(bytes);
    CHECK(read_reply(bytes).error().code == ErrorCode::kDataLoss);
  }
  CHECK(read_reply(std::string(200'000, 'a'), 1000).error().code == ErrorCode::kDataLoss);
  // What was announced and does not come.
  CHECK(read_reply("*20000000\r\n:1\r\n").error().code == ErrorCode::kIo);
  CHECK(read_reply("$1000000000\r\nab").error().code == ErrorCode::kIo);
}

TEST_CASE("cli/reply: random bytes never do harm") {
  auto rng = test::make_rng(7);
  constexpr std::string_view kBytes = "*$%~:,#_+-=12\r\n\r\n\r\n";
  for (int i = 0; i < 2000; ++i) {
    std::string bytes;
    for (int j = 0; j < 40; ++j) bytes += kBytes[rng() % kBytes.size()];
    const auto reply = read_reply(bytes, 1 + rng() % 8);
    CHECK((reply || !reply.error().message.empty()));
  }
}

ServerAddress address_of(std::string_view url) {
  const auto address = parse_url(url);
  REQUIRE(address);
  return *address;
}

TEST_CASE("cli/place: a URL has host, port, user and password") {
  CHECK(address_of("redis://example").host == "example");
  CHECK(address_of("redis://example").port == 6380);
  CHECK(address_of("redis://example:7/").port == 7);
  CHECK(address_of("redis://[::1]:7").host == "::1");
  CHECK(address_of("redis://[::1]").port == 6380);
  CHECK(address_of("redis://:p%40ss%3a@h:1").password == "p@ss:");
  CHECK(address_of("redis://u:a@b@h").password == "a@b");
  CHECK(address_of("redis://u:x@h").user == "u");
  for (const char* const url : {"http://h", "redis://", "redis://h:0", "redis://h:x",
                                "redis://h:", "redis://h/3", "redis://[::1", "redis://[::1]7",
                                "redis://pw@h", "redis://:%4@h", "redis://:%zz@h", "h:1"}) {
    CAPTURE(url);
    CHECK(!parse_url(url));
  }
  for (const char* const url : {"redis:/:secret@h", ":secret@h", "secret", "redis://:secret@h:x",
                                "redis://:secret@", "redis://:secret%4@h", "redis://secret@h"}) {
    CAPTURE(url);
    const auto refused = parse_url(url);
    REQUIRE(!refused);
    CHECK(refused.error().message.find("secret") == std::string::npos);
  }
}

TEST_CASE("cli/place: flags come before the environment, and that before ./engram-data") {
  CHECK(choose_place({}, nullptr, nullptr)->directory == "./engram-data");
  CHECK(choose_place({}, "d", nullptr)->directory == "d");
  CHECK(choose_place({}, nullptr, "redis://h")->server.host == "h");
  CHECK(choose_place({.directory = "x"}, "d", "redis://h")->directory == "x");
  CHECK(choose_place({.port = "1"}, "d", nullptr)->directory == "");
  CHECK(choose_place({.port = "1"}, nullptr, nullptr)->server.port == 1);
  CHECK(choose_place({.host = "h"}, nullptr, nullptr)->server.host == "h");
  CHECK(!choose_place({}, "d", "redis://h"));
  CHECK(choose_place({.asks_server = true}, "d", nullptr)->directory == "");
  CHECK(choose_place({.asks_server = true}, nullptr, nullptr)->server.port == 6380);
  CHECK(choose_place({.asks_server = true}, "d", "redis://h")->server.host == "h");
  CHECK(!choose_place({.directory = "x", .port = "1"}, nullptr, nullptr));
  CHECK(!choose_place({.port = "1", .url = "redis://h"}, nullptr, nullptr));
  CHECK(!choose_place({.port = "65536"}, nullptr, nullptr));
}

TEST_CASE("cli/place: a directory answers commands, pipelined or not, and keeps what they did") {
  const test::TemporaryDirectory directory;
  const std::string path = directory.path() + "/new";
  CHECK(open_directory_place(path, false).error().code == ErrorCode::kNotFound);
  for (const std::int64_t before : {0, 3000}) {
    auto place = open_directory_place(path, true);
    REQUIRE(place);
    CHECK(open_directory_place(path, true).error().message.ends_with("say --port to reach it"));
    CommandClient client(std::move(*place));
    REQUIRE(client.hello("", ""));
    CHECK(client.call({"DBSIZE"})->integer == before);
    for (int i = 0; i < 3000; ++i) client.post({"SET", std::to_string(i), "x"});
    for (int i = 0; i < 3000; ++i) REQUIRE(client.take()->text == "OK");
    CHECK(client.call({"NOSUCH"}).error().code == ErrorCode::kInvalidArgument);
    CHECK(client.call({"VDROP", "a"}).error().code == ErrorCode::kNotFound);
    REQUIRE(client.place().end());
  }
}

TEST_CASE("cli/client: replies that an error has left untaken are not those of the next command") {
  const test::TemporaryDirectory directory;
  auto place = open_directory_place(directory.path(), true);
  REQUIRE(place);
  CommandClient client(std::move(*place));
  REQUIRE(client.hello("", ""));
  for (const char* const key : {"a", "b", "c"}) client.post({"SET", key, "x"});
  CHECK(client.take()->text == "OK");
  client.post({"NOSUCH"});
  CHECK(client.call({"DBSIZE"})->integer == 3);
  CHECK(client.call({"GET", "c"})->text == "x");
}

TEST_CASE("cli/output: JSON keeps the sign of a zero") {
  std::string out;
  JsonWriter json(out);
  json.begin_array();
  write_vector(json, *packed_vector("-0,1"));
  write_reply(json, reply_of(",-0\r\n"));
  write_reply(json, reply_of(",inf\r\n"));
  json.end_array();
  CHECK(out == "[[-0.0,1],-0.0,null]");
}

TEST_CASE("cli/output: numbers, keys and tables are readable") {
  CHECK(grouped(0) == "0");
  CHECK(grouped(999) == "999");
  CHECK(grouped(1234567) == "1,234,567");
  CHECK(printable("a\n\x1b[2J\xff\xc3\xa9\xc2\x9b") == "a\\x0a\\x1b[2J\\xff\xc3\xa9\\xc2\\x9b");
  CHECK(printable("\xc2") == "\\xc2");
  Table table({true, false, false});
  table.add({"1", "\xc3\xa9", "x"});
  table.add({"10", "abc", "y"});
  CHECK(table.text() == " 1  \xc3\xa9    x\n10  abc  y\n");
}

TEST_CASE("cli/output: vectors are read as they are printed") {
  const auto vector = packed_vector("[1, -2.5,1e-3 , 3.4028235e38]");
  REQUIRE(vector);
  CHECK(vector_text(*vector) == "1,-2.5,0.001,3.4028235e+38");
  CHECK(packed_vector(vector_text(*vector)) == *vector);
  for (const char* const text : {"", "1,,2", "1 2", "1,x", "1e40", "[1", "1,2,"}) {
    CAPTURE(text);
    CHECK(!packed_vector(text));
  }
}

TEST_CASE("cli/model: scripts and manual name every command and option") {
  const CommandModel program = {
      .name = "engram",
      .help = "Help - \\ text",
      .options = {{.names = {"--help"}}},
      .commands = {{.name = "search",
                    .help = "It's a search",
                    .options = {{.value = "V", .help = "Query"},
                                {.names = {"-k", "--k"}, .value = "N", .help = "How [many]: k"},
                                {.names = {"--metric"}, .value = "l2|dot", .help = "Metric"}}}}};
  for (const char* const shell : {"bash", "zsh", "fish"}) {
    CAPTURE(shell);
    const std::string script = completion_script(program, shell);
    for (const char* const part : {"search", "metric", "l2 dot"}) {
      CHECK(script.find(part) != std::string::npos);
    }
  }
  CHECK(completion_script(program, "tcsh").empty());
  const std::string page = man_page(program, "1.2");
  for (const char* const part :
       {".TH ENGRAM 1", "Help \\- \\e text", "\\fB\\-\\-k\\fR", "l2|dot"}) {
    CHECK(page.find(part) != std::string::npos);
  }
}

}  // namespace
}  // namespace engram::cli_test
