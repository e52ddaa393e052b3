// SPDX-License-Identifier: Apache-2.0
#include "server/commands/glob.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <string>
#include <string_view>

#include "tests/support/seed.h"

namespace engram::glob_test {
namespace {

bool glob_match(std::string_view pattern, std::string_view text, bool ignore_case = false) {
  return GlobPattern(pattern, ignore_case).matches(text);
}

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

TEST_CASE("commands/glob: what is peculiar to Redis's patterns") {
  CHECK_FALSE(glob_match("**", ""));         // an empty text has no place in its loop
  CHECK_FALSE(glob_match("[a-\xff]", "b"));  // bytes are signed: from -1 to 97
  CHECK(glob_match("[a-\xff]", "A"));
  CHECK_FALSE(glob_match("[\\M]", "m", true));  // what a \ stands before keeps its case
  CHECK(glob_match("\\M", "m", true));
  CHECK_FALSE(glob_match("[Z-a]", "z", true));  // ordered first, made small then: from z to a
  CHECK(glob_match("[A-C]", "b", true));
  CHECK(glob_match("[^", "x"));
  CHECK_FALSE(glob_match("[", "x"));
  CHECK(glob_match("[a-]", "]"));
}

/// The definition, with all its branches, a byte at a time.
bool matches(std::string_view pattern, std::string_view text, bool is_first = true) {
  if (is_first && text.empty()) return pattern.empty() || pattern == "*";
  if (pattern.empty()) return text.empty();
  if (pattern[0] == '*') {
    return matches(pattern.substr(1), text, false) ||
           (!text.empty() && matches(pattern, text.substr(1), false));
  }
  if (text.empty()) return false;
  std::size_t length = 1;
  bool is_matched = pattern[0] == '?' || pattern[0] == text[0];
  if (pattern[0] == '\\' && pattern.size() > 1) {
    is_matched = pattern[1] == text[0];
    length = 2;
  } else if (pattern[0] == '[') {
    is_matched = false;
    const bool negated = pattern.substr(1).starts_with('^');
    if (negated) ++length;
    while (length < pattern.size() && pattern[length] != ']') {
      const std::string_view rest = pattern.substr(length);
      if (rest[0] == '\\' && rest.size() > 1) {
        is_matched |= rest[1] == text[0];
        length += 2;
      } else if (rest.size() > 2 && rest[1] == '-') {
        const auto [low, high] = std::minmax(rest[0], rest[2]);
        is_matched |= low <= text[0] && text[0] <= high;
        length += 3;
      } else {
        is_matched |= rest[0] == text[0];
        ++length;
      }
    }
    length = std::min(length + 1, pattern.size());
    is_matched ^= negated;
  }
  return is_matched && matches(pattern.substr(length), text.substr(1), false);
}

std::string random_text(std::mt19937_64& rng, std::string_view alphabet, std::size_t most) {
  std::string text;
  for (auto i = rng() % (most + 1); i > 0; --i) text += alphabet[rng() % alphabet.size()];
  return text;
}

TEST_CASE("commands/glob: patterns agree with their definition, in slices too") {
  auto rng = test::make_rng(4);
  for (int round = 0; round < 20'000; ++round) {
    const std::string_view alphabet = round % 2 == 0 ? "ab?*" : "ab?*[]^-\\*";
    const std::string pattern = random_text(rng, alphabet, 10);
    const std::string text = random_text(rng, round % 2 == 0 ? "ab" : "ab-]", 8);
    CAPTURE(pattern);
    CAPTURE(text);
    GlobPattern compiled(pattern);
    GlobMatch match(compiled, text);
    while (!match.advance(1)) {
    }
    CHECK(match.matches() == matches(pattern, text));
    CHECK(glob_match(pattern, text) == matches(pattern, text));
  }
}

TEST_CASE("commands/glob: a long pattern is found in a long text by its rows") {
  const std::string text(5000, 'a');
  std::string piece;
  for (int i = 0; i < 100; ++i) piece += "?[a-c]";
  CHECK(glob_match("*" + piece + "*" + piece + "*", text));
  CHECK_FALSE(glob_match("*" + piece + "b*", text));
  CHECK(glob_match("*" + piece + "b*", text + 'b' + text));
}

/// How many steps a match takes.
std::size_t steps_of(const std::string& pattern, const std::string& text) {
  constexpr std::size_t kSlice = 1000;
  GlobPattern compiled(pattern);
  GlobMatch match(compiled, text);
  std::size_t slices = 1;
  while (!match.advance(kSlice)) ++slices;
  return slices * kSlice;
}

TEST_CASE("commands/glob: literal pieces take linear time, others a word for 64 elements") {
  const std::string text(60'000, 'a');
  CHECK(steps_of("*" + std::string(30'000, 'a') + "b", text) <= 1000);
  CHECK(steps_of("*" + std::string(30'000, 'a') + "b*", text) <= 1000);
  std::string odd;
  for (int i = 0; i < 1500; ++i) odd += "?a";
  CHECK(steps_of("*" + odd + "b*", text) < 60'000 * (3000 / 64 + 3));
}

}  // namespace
}  // namespace engram::glob_test
