// SPDX-License-Identifier: Apache-2.0
#include "core/text.h"

#include <doctest/doctest.h>

#include <cstdint>

namespace engram::text_test {
namespace {

TEST_CASE("core/text: letter case folds ASCII letters and nothing else") {
  CHECK(to_lower("AZ[@`{\xc3\x84") == "az[@`{\xc3\x84");
  CHECK(to_upper("az[@`{\xc3\xa4") == "AZ[@`{\xc3\xa4");
  CHECK(equal_ignoring_case("Cosine", "cOSINE"));
  CHECK(!equal_ignoring_case("cosine", "cosin"));
  CHECK(!equal_ignoring_case("@", "`"));  // they differ by the bit that tells letters' cases apart
  CHECK(equal_ignoring_case("", ""));
}

TEST_CASE("core/text: parse_number takes a number that is the whole text") {
  CHECK(parse_number<int>("42") == 42);
  CHECK(parse_number<int>("-7") == -7);
  CHECK(parse_number<double>("1e3") == 1000.0);
  for (const char* const wrong : {"", " 1", "1 ", "+1", "1x", "0x10", "--1", "-"}) {
    CAPTURE(std::string(wrong));
    CHECK(!parse_number<int>(wrong).has_value());
    CHECK(!parse_number<double>(wrong).has_value());
  }
}

TEST_CASE("core/text: parse_number refuses what the type cannot hold") {
  CHECK(parse_number<std::uint8_t>("255") == 255);
  CHECK(!parse_number<std::uint8_t>("256").has_value());
  CHECK(!parse_number<std::uint64_t>("-1").has_value());
  CHECK(!parse_number<std::int64_t>("9223372036854775808").has_value());
}

}  // namespace
}  // namespace engram::text_test
