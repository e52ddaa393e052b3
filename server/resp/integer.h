// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "core/text.h"

namespace engram {

/// The integer that `text` spells in its one canonical form, as Redis demands it everywhere: no
/// sign but a leading '-', no leading zeros, no spaces.
inline std::optional<std::int64_t> parse_integer(std::string_view text) noexcept {
  const std::string_view digits = text.starts_with('-') ? text.substr(1) : text;
  if (digits.starts_with('0') && text.size() > 1) return std::nullopt;
  return parse_number<std::int64_t>(text);
}

}  // namespace engram
