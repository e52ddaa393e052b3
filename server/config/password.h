// SPDX-License-Identifier: Apache-2.0
// The one rule by which every door lets clients in.
#pragma once

#include <cstddef>
#include <string_view>

namespace engram {

/// Whether who gives `given` is let in where the parameter requirepass is `password`; where that is
/// empty, anybody is. Takes a time that does not tell how much of the password is right.
inline bool lets_in(std::string_view given, std::string_view password) noexcept {
  if (password.empty()) return true;
  unsigned difference = given.size() == password.size() ? 0 : 1;
  for (std::size_t i = 0; i < given.size(); ++i) {
    difference |= static_cast<unsigned char>(given[i]) ^
                  static_cast<unsigned char>(password[i % password.size()]);
  }
  return difference == 0;
}

}  // namespace engram
