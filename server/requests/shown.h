// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace engram {

/// As much of a client's own words as an error repeats: 128 bytes, as Redis does of an unknown
/// command's name. Without a bound, an argument of many megabytes would be answered with its like.
inline std::string shown(std::string_view text) {
  constexpr std::size_t kMostBytes = 128;
  return std::string(text.substr(0, kMostBytes));
}

}  // namespace engram
