// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace engram {

/// Whether all of it is ASCII that a line can show.
constexpr bool is_printable(std::string_view text) noexcept {
  for (const char c : text) {
    if (c < ' ' || c > '~') return false;
  }
  return true;
}

/// `text` up to its first NUL: all that Redis's errors say of it.
constexpr std::string_view c_string(std::string_view text) noexcept {
  return text.substr(0, text.find('\0'));
}

/// As much of a client's own words as an error repeats: 128 bytes, as Redis does of an unknown
/// command's name. Without a bound, an argument of many megabytes would be answered with its like.
inline std::string shown(std::string_view text) {
  constexpr std::size_t kMostBytes = 128;
  return std::string(text.substr(0, kMostBytes));
}

/// The same of what Redis's own errors repeat.
inline std::string shown_c(std::string_view text) {
  return shown(c_string(text));
}

}  // namespace engram
