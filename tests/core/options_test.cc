// SPDX-License-Identifier: Apache-2.0
#include "core/options.h"

#include <doctest/doctest.h>

#include <iterator>
#include <string>
#include <string_view>
#include <vector>

namespace engram::options_test {
namespace {

constexpr std::string_view kOrders[] = {"near", "far"};
constexpr OptionSpec kSchema[] = {
    integer_option("M", 16, 2, 512, "links of a node"),
    integer_option("LIMIT", 1'000'000, 1, 268'435'456, "a limit that needs many digits"),
    real_option("BETA", 0.5, 0, 1e300, "inverse temperature"),
    choice_option("ORDER", "near", kOrders, "which end comes first"),
};

Options parsed(const std::vector<OptionText>& given) {
  const auto options = Options::parse(kSchema, given);
  REQUIRE(options.has_value());
  return *options;
}

std::string refusal(const std::vector<OptionText>& given) {
  const auto options = Options::parse(kSchema, given);
  REQUIRE(!options.has_value());
  CHECK(options.error().code == ErrorCode::kInvalidArgument);
  return options.error().message;
}

TEST_CASE("core/options: what is not given has its default") {
  const Options options = parsed({});
  CHECK(options.integer("M") == 16);
  CHECK(options.real("BETA") == 0.5);
  CHECK(options.choice("ORDER") == "near");
  CHECK(!options.given("M"));
  CHECK(!options.given("NOSUCH"));
  CHECK(Options(kSchema).integer("LIMIT") == 1'000'000);
}

TEST_CASE("core/options: names and choices are taken in any letter case") {
  const Options options = parsed({{"m", "8"}, {"Order", "FAR"}, {"beta", "2.5e-1"}});
  CHECK(options.integer("M") == 8);
  CHECK(options.choice("ORDER") == "far");
  CHECK(options.real("BETA") == 0.25);
  CHECK(options.given("M"));
  CHECK(!options.given("LIMIT"));
}

TEST_CASE("core/options: ranges are inclusive") {
  CHECK(parsed({{"M", "2"}}).integer("M") == 2);
  CHECK(parsed({{"M", "512"}}).integer("M") == 512);
  CHECK(parsed({{"BETA", "0"}}).real("BETA") == 0);
}

TEST_CASE("core/options: an unknown name is refused with the known ones") {
  CHECK(refusal({{"EFFORT", "1"}}) ==
        "unknown option 'EFFORT', known options are M, LIMIT, BETA, ORDER");
  const auto none = Options::parse({}, std::vector<OptionText>{{"M", "1"}});
  REQUIRE(!none.has_value());
  CHECK(none.error().message == "unknown option 'M', it takes none");
}

TEST_CASE("core/options: an option given twice is refused") {
  CHECK(refusal({{"M", "4"}, {"m", "4"}}) == "option M is given twice");
}

TEST_CASE("core/options: a value of the wrong type or out of range is refused with the range") {
  const std::string integer = "option M must be an integer in 2..512, got ";
  for (const char* const wrong :
       {"1", "513", "", "sixteen", "16.0", " 16", "1e1", "-3", "nan", "99999999999999999999"}) {
    CHECK(refusal({{"M", wrong}}) == integer + "'" + wrong + "'");
  }
  const std::string real = "option BETA must be a number in 0..1e+300, got ";
  for (const char* const wrong : {"-0.1", "nan", "inf", "1e301", "1e999", "warm", ""}) {
    CHECK(refusal({{"BETA", wrong}}) == real + "'" + wrong + "'");
  }
  CHECK(refusal({{"ORDER", "middle"}}) == "option ORDER must be one of near|far, got 'middle'");
}

TEST_CASE("core/options: a refusal quotes no more than 64 bytes of what it was given") {
  const std::string endless(100'000, 'x');
  CHECK(refusal({{"M", endless}}).size() < 200);
  CHECK(refusal({{endless, "1"}}).size() < 200);
}

TEST_CASE("core/options: text() reads back as the same value") {
  const Options options =
      parsed({{"M", "100"}, {"LIMIT", "100000000"}, {"BETA", "0.1"}, {"ORDER", "FAR"}});
  std::vector<std::string> texts;
  std::vector<OptionText> again;
  for (std::size_t i = 0; i < std::size(kSchema); ++i) texts.push_back(options.text(i));
  for (std::size_t i = 0; i < std::size(kSchema); ++i)
    again.emplace_back(kSchema[i].name, texts[i]);
  CHECK(texts == std::vector<std::string>{"100", "100000000", "0.1", "far"});
  CHECK(parsed(again).integer("LIMIT") == 100'000'000);
  CHECK(parsed(again).real("BETA") == 0.1);
}

TEST_CASE("core/options: a schema describes itself") {
  CHECK(kSchema[0].type_name() == "integer");
  CHECK(kSchema[2].type_name() == "real");
  CHECK(kSchema[3].type_name() == "choice");
  CHECK(kSchema[0].range() == "2..512");
  CHECK(kSchema[1].range() == "1..268435456");
  CHECK(kSchema[3].range() == "near|far");
  CHECK(kSchema[1].default_text() == "1000000");
  CHECK(kSchema[2].default_text() == "0.5");
  CHECK(kSchema[3].default_text() == "near");
}

}  // namespace
}  // namespace engram::options_test
