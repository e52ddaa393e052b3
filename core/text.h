// SPDX-License-Identifier: Apache-2.0
// The few operations on names and numbers that commands, options and metrics share. ASCII only:
// the locale must not change what a command means.
#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace engram {

constexpr char ascii_lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

constexpr char ascii_upper(char c) noexcept {
  return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
}

constexpr bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (ascii_lower(a[i]) != ascii_lower(b[i])) return false;
  }
  return true;
}

/// Whether `word` is one of them.
inline bool is_any_ignoring_case(std::string_view word,
                                 std::span<const std::string_view> words) noexcept {
  return std::any_of(words.begin(), words.end(),
                     [word](std::string_view other) { return equal_ignoring_case(word, other); });
}

inline std::string to_lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = ascii_lower(c);
  return lower;
}

inline std::string to_upper(std::string_view text) {
  std::string upper(text);
  for (char& c : upper) c = ascii_upper(c);
  return upper;
}

/// The number that the whole of `text` spells, or nothing. T is an integer or floating type; no
/// spaces, no leading '+', no trailing characters.
template <class T>
std::optional<T> parse_number(std::string_view text) noexcept {
  T value{};
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || stop != end || text.empty()) return std::nullopt;
  return value;
}

/// The shortest text that reads back to the same number; whole numbers without an exponent, because
/// an integer option is not read with one.
inline std::string number_text(double number) {
  constexpr double kExactIntegers = 0x1p53;
  const bool is_whole = std::trunc(number) == number && std::abs(number) <= kExactIntegers;
  if (is_whole) return std::to_string(static_cast<std::int64_t>(number));
  std::array<char, 32> text;
  const auto [end, error] = std::to_chars(text.data(), text.data() + text.size(), number);
  return {text.data(), end};
}

}  // namespace engram
