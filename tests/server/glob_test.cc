// SPDX-License-Identifier: Apache-2.0
#include "server/commands/glob.h"

#include <doctest/doctest.h>

#include <random>
#include <string>

#include "tests/support/seed.h"

namespace engram::glob_test {
namespace {

TEST_CASE("commands/glob: the elements of a pattern") {
  CHECK(glob_match("", ""));
  CHECK_FALSE(glob_match("", "a"));
  CHECK(glob_match("*", ""));
  CHECK(glob_match("a*c", "abbbc"));
  CHECK_FALSE(glob_match("a*c", "abbb"));
  CHECK(glob_match("?", "a"));
  CHECK_FALSE(glob_match("?", ""));
  CHECK(glob_match("[abc]x", "bx"));
  CHECK(glob_match("[a-c]", "b"));
  CHECK(glob_match("[c-a]", "b"));
  CHECK_FALSE(glob_match("[^a-c]", "b"));
  CHECK(glob_match("[^a-c]", "d"));
  CHECK_FALSE(glob_match("[^a]", ""));
  CHECK(glob_match("[\\]]", "]"));
  CHECK(glob_match("[a", "a"));
  CHECK_FALSE(glob_match("[]", "a"));
  CHECK(glob_match("\\*", "*"));
  CHECK_FALSE(glob_match("\\*", "a"));
  CHECK(glob_match("a\\", "a\\"));
  CHECK(glob_match("[\x80-\xff]", "\x90"));
  CHECK(glob_match("MaX*", "maxclients", true));
  CHECK_FALSE(glob_match("MaX*", "maxclients"));
  CHECK(glob_match("user:*:name", "user:1:2:name"));
  CHECK(glob_match("**a**", "xxaxx"));
}

TEST_CASE("commands/glob: a pattern of many stars ends soon") {
  std::string pattern;
  for (int i = 0; i < 100; ++i) pattern += "a*";
  CHECK_FALSE(glob_match(pattern + "b", std::string(10'000, 'a')));
}

/// The definition, with all its branches.
bool matches(std::string_view pattern, std::string_view text) {
  if (pattern.empty()) return text.empty();
  if (pattern[0] == '*') {
    return matches(pattern.substr(1), text) || (!text.empty() && matches(pattern, text.substr(1)));
  }
  return !text.empty() && (pattern[0] == '?' || pattern[0] == text[0]) &&
         matches(pattern.substr(1), text.substr(1));
}

TEST_CASE("commands/glob: stars and question marks agree with their definition") {
  auto rng = test::make_rng(4);
  for (int round = 0; round < 20'000; ++round) {
    std::string pattern;
    std::string text;
    for (auto i = rng() % 8; i > 0; --i) pattern += "ab?*"[rng() % 4];
    for (auto i = rng() % 8; i > 0; --i) text += "ab"[rng() % 2];
    CAPTURE(pattern);
    CAPTURE(text);
    CHECK(glob_match(pattern, text) == matches(pattern, text));
  }
}

}  // namespace
}  // namespace engram::glob_test
