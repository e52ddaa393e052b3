// SPDX-License-Identifier: Apache-2.0
#include "server/json/json.h"

#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/seed.h"

namespace engram::json_test {
namespace {

std::string error_of(std::string_view text) {
  JsonReader reader;
  const auto read = reader.read(text);
  return read ? std::string() : read.error().message;
}

std::string nested(std::size_t levels) {
  return std::string(levels, '[') + "1" + std::string(levels, ']');
}

TEST_CASE("filters/json: every kind of value is read") {
  JsonReader reader;
  const auto root = reader.read(
      R"({"n":null,"t":true,"f":false,"i":-3,"u":18446744073709551615,"d":1e308,"z":-0.0,
          "s":"a\u00e9\n","l":[1,"two",[3]],"o":{"x":1},"s":"second"})");
  REQUIRE(root);
  CHECK(root->kind() == JsonKind::kObject);
  CHECK(root->member("n")->kind() == JsonKind::kNull);
  CHECK(root->member("t")->kind() == JsonKind::kTrue);
  CHECK(root->member("f")->kind() == JsonKind::kFalse);
  CHECK(root->member("i")->number() == -3);
  CHECK(root->member("u")->number() == 18446744073709551615.0);
  CHECK(root->member("d")->number() == 1e308);
  CHECK(std::signbit(root->member("z")->number()));
  CHECK(root->member("s")->string() == "a\xc3\xa9\n");
  CHECK(root->member("o")->member("x")->number() == 1);
  CHECK_FALSE(root->member("none"));
  CHECK_FALSE(root->member("l")->member("x"));
  std::vector<JsonKind> kinds;
  root->member("l")->for_each_item([&](const JsonValue& item) { kinds.push_back(item.kind()); });
  CHECK(kinds == std::vector{JsonKind::kNumber, JsonKind::kString, JsonKind::kArray});
  std::string names;
  root->for_each_member([&](std::string_view name, const JsonValue&) { names += name; });
  CHECK(names == "ntfiudzslos");
}

TEST_CASE("filters/json: what is no JSON, or too much of it, is refused by what is wrong") {
  CHECK(error_of("{}") == "");
  CHECK(error_of(nested(32)) == "");
  CHECK(error_of(nested(33)) == "is nested more than 32 levels deep");
  CHECK(error_of(R"({"a":)" + nested(31) + "}") == "");
  CHECK(error_of(R"({"a":)" + nested(32) + "}") == "is nested more than 32 levels deep");
  CHECK(error_of("\"" + std::string(65'534, 'x') + "\"") == "");
  CHECK(error_of("\"" + std::string(65'535, 'x') + "\"") == "is longer than 65536 bytes");
  CHECK(error_of("{\"a\":\"\xff\"}") == "is not UTF-8");
  for (const std::string_view number : {"1e400", "123456789012345678901234567890", "01"}) {
    CHECK(error_of(number) == "has a number that is malformed or out of range");
  }
  for (const std::string_view text :
       {"", " ", "{", "{]", "abc", "{\"a\":1,}", "{a:1}", "{} {}", "'a'", "{\"a\" 1}"}) {
    CAPTURE(text);
    CHECK(error_of(text) == "is not JSON");
  }
}

TEST_CASE("filters/json: a reader that has refused a text reads the next") {
  auto rng = test::make_rng(120);
  JsonReader reader;
  for (int round = 0; round < 2000; ++round) {
    std::string text = R"({"a":[1,2,{"b":"c"}],"d":-1.5e3})";
    text[rng() % text.size()] = static_cast<char>(rng());
    static_cast<void>(reader.read(text));
    const std::string longer = R"({"k":")" + std::string(rng() % 3000, 'x') + "\"}";
    const auto read = reader.read(longer);
    REQUIRE(read);
    CHECK(read->member("k")->string().size() == longer.size() - 8);
  }
}

}  // namespace
}  // namespace engram::json_test
