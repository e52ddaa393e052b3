// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace engram {

// The sections of a collection beside those of its store and its index (FORMAT.md).
inline constexpr std::string_view kStoredSection = "slots.stored";
inline constexpr std::string_view kKeysSection = "keys";
inline constexpr std::string_view kTuningSection = "tuning";          // only if it was tuned
inline constexpr std::string_view kStrengthsSection = "strengths";    // only if they are kept
inline constexpr std::string_view kAttributesSection = "attributes";  // only if there are any

}  // namespace engram
