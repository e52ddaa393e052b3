// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <string_view>

namespace engram {

inline constexpr std::string_view kClientNameError =
    "ERR Client names cannot contain spaces, newlines or special characters.";

/// Printable ASCII without spaces, so that CLIENT LIST can be read field by field.
inline bool is_client_name(std::string_view name) {
  return std::all_of(name.begin(), name.end(), [](char c) { return c >= '!' && c <= '~'; });
}

}  // namespace engram
