// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace engram {

inline constexpr std::string_view kVersion = ENGRAM_VERSION;

/// The Redis whose behaviour is offered. Clients choose what they dare to send by this number.
inline constexpr std::string_view kRedisVersion = "7.2.4";

}  // namespace engram
