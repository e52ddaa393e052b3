// SPDX-License-Identifier: Apache-2.0
#include "server/json/json.h"

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "server/json/json_writer.h"
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

TEST_CASE("json: what was written reads back, floats to the same float32") {
  auto rng = test::make_rng(5);
  std::vector<float> values = {0.0F, -0.0F, 1.0F, 0.1F, 3.4028235e38F, 1e-45F, 16777217.0F};
  while (values.size() < 5000) {
    const float value = std::bit_cast<float>(static_cast<std::uint32_t>(rng()));
    if (std::isfinite(value)) values.push_back(value);
  }
  std::string text;
  JsonWriter json(text);
  json.begin_object();
  json.name("numbers").numbers(values);
  json.name("none").number(std::numeric_limits<float>::infinity());
  json.name("text").string("a\"\\\n\x01\xC3\xA9\xFF");
  json.name("empty").begin_array();
  json.end_array();
  json.name("nested").raw(R"({"a":[1,2]})");
  json.name("count").count(std::numeric_limits<std::uint64_t>::max());
  json.end_object();
  JsonReader reader({.bytes = 1UL << 20});
  const auto read = reader.read(text);
  REQUIRE(read);
  std::vector<float> back;
  REQUIRE(read->member("numbers")->append_numbers(back));
  REQUIRE(back.size() == values.size());
  CHECK(std::memcmp(back.data(), values.data(), back.size() * sizeof(float)) == 0);
  CHECK(read->member("none")->kind() == JsonKind::kNull);
  CHECK(read->member("text")->string() == "a\"\\\n\x01\xC3\xA9\xEF\xBF\xBD");
  CHECK(read->member("nested")->text() == R"({"a":[1,2]})");
  CHECK(text.ends_with("\"count\":18446744073709551615}"));
}

TEST_CASE("json: an array of numbers is taken whole, or refused") {
  JsonReader reader;
  std::vector<float> numbers;
  CHECK(reader.read("[1, -2.5, 1e300]")->append_numbers(numbers));
  CHECK(numbers == std::vector<float>{1, -2.5F, std::numeric_limits<float>::infinity()});
  CHECK_FALSE(reader.read("[1, \"2\"]")->append_numbers(numbers));
  CHECK_FALSE(reader.read("{}")->append_numbers(numbers));
}

}  // namespace
}  // namespace engram::json_test
