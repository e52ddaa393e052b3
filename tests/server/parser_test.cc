// SPDX-License-Identifier: Apache-2.0
#include "server/resp/parser.h"

#include <doctest/doctest.h>

#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "server/net/byte_buffer.h"
#include "tests/support/seed.h"

namespace engram::parser_test {
namespace {

using Request = std::vector<std::string>;
using Outcome = RequestParser::Outcome;

struct Parsed {
  std::vector<Request> requests;
  std::string error;

  friend bool operator==(const Parsed&, const Parsed&) = default;
};

/// Plays the connection's part: feeds `pieces` one after the other and takes every request out.
/// Each step hands the parser a fresh copy of the bytes, so that a stale view shows under ASan.
Parsed parse_pieces(const std::vector<std::string_view>& pieces, ParserLimits limits = {}) {
  RequestParser parser(limits);
  Parsed parsed;
  std::string pending;
  for (const std::string_view piece : pieces) {
    pending += piece;
    for (;;) {
      const auto input = std::make_unique<std::string>(pending);
      const Outcome outcome = parser.parse(*input);
      if (outcome == Outcome::kError) {
        parsed.error = parser.error();
        return parsed;
      }
      if (outcome == Outcome::kRequest) {
        parsed.requests.emplace_back(parser.arguments().begin(), parser.arguments().end());
      }
      pending.erase(0, parser.consume());
      if (outcome == Outcome::kIncomplete) break;
    }
  }
  return parsed;
}

Parsed parse(std::string_view stream, ParserLimits limits = {}) {
  return parse_pieces({stream}, limits);
}

std::string error_of(std::string_view stream, ParserLimits limits = {}) {
  return parse(stream, limits).error;
}

TEST_CASE("resp/parser: arrays, inline commands and empty requests mix in one stream") {
  const auto parsed = parse(
      "*2\r\n$3\r\nGET\r\n$1\r\nk\r\nPING\r\n\r\n*0\r\n*-1\r\nset a 'b c'\n"
      "*1\r\n$0\r\n\r\n*1\r\n$4\r\n\r\n\r\n\r\n");
  CHECK(parsed.error.empty());
  CHECK(parsed.requests ==
        std::vector<Request>{{"GET", "k"}, {"PING"}, {"set", "a", "b c"}, {""}, {"\r\n\r\n"}});
}

TEST_CASE("resp/parser: a request that waits keeps its arguments while memory is given back") {
  for (const std::string_view stream :
       {"set a 'b c'\r\n", "*3\r\n$3\r\nset\r\n$1\r\na\r\n$3\r\nb c\r\n"}) {
    RequestParser parser;
    REQUIRE(parser.parse(stream) == Outcome::kRequest);
    parser.release_memory();
    REQUIRE(parser.parse(stream) == Outcome::kRequest);
    CHECK(Request(parser.arguments().begin(), parser.arguments().end()) ==
          Request{"set", "a", "b c"});
  }
}

TEST_CASE("resp/parser: a stream cut at any two places gives the same requests") {
  const std::string_view stream =
      "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\na\r\nb\n\r\n\r\n*0\r\nping \"x\\x41\"\r\n"
      "*2\r\n$4\r\nECHO\r\n$12\r\n*1\r\n$4\r\nPING\r\n*-1\r\n\nquit\n";
  const Parsed whole = parse(stream);
  REQUIRE(whole.requests.size() == 4);
  for (std::size_t i = 0; i <= stream.size(); ++i) {
    for (std::size_t j = i; j <= stream.size(); ++j) {
      CAPTURE(i);
      CAPTURE(j);
      CHECK(parse_pieces({stream.substr(0, i), stream.substr(i, j - i), stream.substr(j)}) ==
            whole);
    }
  }
}

TEST_CASE("resp/parser: errors are Redis's own") {
  CHECK(error_of("*x\r\n") == "ERR Protocol error: invalid multibulk length");
  CHECK(error_of("*+1\r\n") == "ERR Protocol error: invalid multibulk length");
  CHECK(error_of("*1048577\r\n") == "ERR Protocol error: invalid multibulk length");
  CHECK(error_of("*1\r\n:1\r\n") == "ERR Protocol error: expected '$', got ':'");
  CHECK(error_of("*1\r\n$-1\r\n") == "ERR Protocol error: invalid bulk length");
  CHECK(error_of("*1\r\n$x\r\n") == "ERR Protocol error: invalid bulk length");
  CHECK(error_of("*1\r\n$1073741824\r\n") == "ERR Protocol error: invalid bulk length");
  CHECK(error_of("*1\r\n$536870913\r\n") == "ERR Protocol error: invalid bulk length");
  CHECK(error_of("a \"b\r\n") == "ERR Protocol error: unbalanced quotes in request");
  CHECK(error_of("a 'b'c\r\n") == "ERR Protocol error: unbalanced quotes in request");
  CHECK(error_of(std::string(70'000, 'x')) == "ERR Protocol error: too big inline request");
  CHECK(error_of("*" + std::string(70'000, '1')) ==
        "ERR Protocol error: too big mbulk count string");
  CHECK(error_of("*1\r\n$" + std::string(70'000, '1')) ==
        "ERR Protocol error: too big bulk count string");
}

TEST_CASE("resp/parser: the limits themselves are allowed") {
  const ParserLimits limits = {.max_arguments = 2, .max_bulk_bytes = 3, .max_line_bytes = 8};
  CHECK(parse("*2\r\n$3\r\nabc\r\n$3\r\nabc\r\n", limits).requests.size() == 1);
  CHECK(parse("12345678\n", limits).requests.size() == 1);
  CHECK_FALSE(error_of("*3\r\n", limits).empty());
  CHECK_FALSE(error_of("*1\r\n$4\r\n", limits).empty());
  CHECK_FALSE(error_of("123456789\n", limits).empty());
}

TEST_CASE("resp/parser: arguments are bounded together too, before they come") {
  const ParserLimits limits = {.max_request_bytes = 30};
  CHECK(parse("*2\r\n$4\r\nECHO\r\n$5\r\nabcde\r\n", limits).requests.size() == 1);
  CHECK(error_of("*2\r\n$4\r\nECHO\r\n$20\r\n", limits) ==
        "ERR Protocol error: too big request, the most is 30 bytes");
}

TEST_CASE("resp/parser: whole arguments are told from what waits to be one") {
  RequestParser parser;
  const std::string head = "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$100\r\n";
  REQUIRE(parser.parse(head + "value") == Outcome::kIncomplete);
  CHECK(parser.parsed_bytes() == head.size());
}

TEST_CASE("resp/parser: requests before an error are kept") {
  const Parsed parsed = parse("PING\r\n*1\r\n$4\r\nPING\r\n*x\r\nPING\r\n");
  CHECK(parsed.requests.size() == 2);
  CHECK_FALSE(parsed.error.empty());
}

TEST_CASE("resp/parser: a promised bulk is told, and nothing is kept for it in advance") {
  RequestParser parser;
  const std::string header = "*2\r\n$4\r\nECHO\r\n$500000000\r\n";
  CHECK(parser.parse(header) == Outcome::kIncomplete);
  CHECK(parser.bytes_missing() == 500'000'002);
  CHECK(parser.consume() == 0);
}

TEST_CASE("resp/parser: parsing again without consuming gives the request at its new place") {
  RequestParser parser;
  const std::string here = "*2\r\n$4\r\nECHO\r\n$1\r\nx\r\n";
  const std::string there = here + "PING\r\n";
  REQUIRE(parser.parse(here) == Outcome::kRequest);
  REQUIRE(parser.parse(there) == Outcome::kRequest);
  CHECK(parser.arguments()[1].data() == there.data() + 18);
  CHECK(parser.consume() == here.size());
}

TEST_CASE("resp/parser: inline quotes and escapes") {
  CHECK(parse("a \"\\x41\\n\\r\\t\\b\\a\\\\\\\"\\q\" 'it\\'s \\n'\r\n").requests ==
        std::vector<Request>{{"a", "A\n\r\t\b\a\\\"q", "it's \\n"}});
  CHECK(parse("\"\" '' \"\\x4\" \"\\xZZ\"\n").requests ==
        std::vector<Request>{{"", "", "x4", "xZZ"}});
  CHECK(parse("  \t a\v b \n").requests == std::vector<Request>{{"a", "b"}});
  CHECK(parse("ab\"c d\"\n").requests == std::vector<Request>{{"abc d"}});
}

TEST_CASE("resp/parser: random bytes in random pieces neither crash nor depend on the cuts") {
  auto rng = test::make_rng(1);
  const std::string_view alphabet = "*$:+-0123456789\r\r\n\n\n \"'\\xPING";
  for (int round = 0; round < 2000; ++round) {
    std::string stream;
    for (std::size_t i = rng() % 60; i > 0; --i) {
      stream += rng() % 8 == 0 ? static_cast<char>(rng()) : alphabet[rng() % alphabet.size()];
    }
    std::vector<std::string_view> pieces;
    for (std::string_view rest = stream; !rest.empty();) {
      const std::size_t length = 1 + rng() % rest.size();
      pieces.push_back(rest.substr(0, length));
      rest.remove_prefix(length);
    }
    CAPTURE(stream);
    CHECK(parse_pieces(pieces) == parse(stream));
  }
}

TEST_CASE("net/byte_buffer: bytes come out as they went in, and memory follows what arrived") {
  auto rng = test::make_rng(2);
  ByteBuffer buffer;
  std::string expected;
  char next = 0;
  for (int round = 0; round < 20'000; ++round) {
    const std::size_t in = rng() % 50;
    const auto space = buffer.writable(in);
    REQUIRE(space.size() >= in);
    for (std::size_t i = 0; i < in; ++i) expected += space[i] = next++;
    buffer.commit(in);
    const std::size_t out = std::min<std::size_t>(rng() % 52, buffer.size());
    buffer.consume(out);
    expected.erase(0, out);
    REQUIRE(buffer.view() == expected);
  }
  CHECK(buffer.capacity() < 1'000'000);
  buffer.fit();
  CHECK(buffer.capacity() == buffer.size());
  CHECK(buffer.view() == expected);
  buffer.consume(buffer.size());
  buffer.shrink(0);
  CHECK(buffer.capacity() == 0);
}

}  // namespace
}  // namespace engram::parser_test
