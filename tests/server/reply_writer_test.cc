// SPDX-License-Identifier: Apache-2.0
#include "server/resp/reply_writer.h"

#include <doctest/doctest.h>

#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>

#include "tests/support/seed.h"

namespace engram::reply_writer_test {
namespace {

template <class Write>
std::string resp2(Write write) {
  std::string out;
  ReplyWriter writer(out, RespVersion::kResp2);
  write(writer);
  return out;
}

template <class Write>
std::string resp3(Write write) {
  std::string out;
  ReplyWriter writer(out, RespVersion::kResp3);
  write(writer);
  return out;
}

TEST_CASE("resp/reply_writer: what both protocols share") {
  CHECK(resp2([](auto& w) { w.ok(); }) == "+OK\r\n");
  CHECK(resp2([](auto& w) { w.error("ERR a\r\nb"); }) == "-ERR a  b\r\n");
  CHECK(resp2([](auto& w) { w.integer(std::numeric_limits<std::int64_t>::min()); }) ==
        ":-9223372036854775808\r\n");
  CHECK(resp3([](auto& w) { w.bulk(std::string_view("a\0b", 3)); }) ==
        std::string("$3\r\na\0b\r\n", 9));
  CHECK(resp3([](auto& w) { w.array(2); }) == "*2\r\n");
}

TEST_CASE("resp/reply_writer: what RESP3 says with types of its own") {
  CHECK(resp2([](auto& w) { w.null(); }) == "$-1\r\n");
  CHECK(resp3([](auto& w) { w.null(); }) == "_\r\n");
  CHECK(resp2([](auto& w) { w.null_array(); }) == "*-1\r\n");
  CHECK(resp3([](auto& w) { w.null_array(); }) == "_\r\n");
  CHECK(resp2([](auto& w) { w.map(2); }) == "*4\r\n");
  CHECK(resp3([](auto& w) { w.map(2); }) == "%2\r\n");
  CHECK(resp2([](auto& w) { w.set(2); }) == "*2\r\n");
  CHECK(resp3([](auto& w) { w.set(2); }) == "~2\r\n");
  CHECK(resp2([](auto& w) { w.boolean(true); }) == ":1\r\n");
  CHECK(resp3([](auto& w) { w.boolean(true); }) == "#t\r\n");
  CHECK(resp3([](auto& w) { w.boolean(false); }) == "#f\r\n");
  CHECK(resp2([](auto& w) { w.verbatim("ab"); }) == "$2\r\nab\r\n");
  CHECK(resp3([](auto& w) { w.verbatim("ab"); }) == "=6\r\ntxt:ab\r\n");
}

TEST_CASE("resp/reply_writer: numbers are the shortest that read back") {
  CHECK(resp2([](auto& w) { w.number(0.1F); }) == "$3\r\n0.1\r\n");
  CHECK(resp3([](auto& w) { w.number(0.1F); }) == ",0.1\r\n");
  CHECK(resp3([](auto& w) { w.number(0.1); }) == ",0.1\r\n");
  CHECK(resp3([](auto& w) { w.number(3.0F); }) == ",3\r\n");
  CHECK(resp3([](auto& w) { w.number(-INFINITY); }) == ",-inf\r\n");
  CHECK(resp3([](auto& w) { w.number(INFINITY); }) == ",inf\r\n");
  CHECK(resp3([](auto& w) { w.number(NAN); }) == ",nan\r\n");
}

TEST_CASE("resp/reply_writer: every finite float survives the wire") {
  auto rng = test::make_rng(3);
  for (int i = 0; i < 20'000; ++i) {
    const auto bits = static_cast<std::uint32_t>(rng());
    float value = 0;
    static_assert(sizeof bits == sizeof value);
    std::memcpy(&value, &bits, sizeof value);
    if (!std::isfinite(value)) continue;
    const std::string line = resp3([value](auto& w) { w.number(value); });
    float back = 0;
    std::from_chars(line.data() + 1, line.data() + line.size() - 2, back);
    CHECK(std::memcmp(&back, &value, sizeof value) == 0);
  }
}

}  // namespace
}  // namespace engram::reply_writer_test
