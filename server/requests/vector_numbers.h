// SPDX-License-Identifier: Apache-2.0
// The components of a vector that a client spells.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace engram {

/// Errors: kInvalidArgument for a word that is no number in the range of float32.
Result<std::vector<float>> read_numbers(std::span<const std::string_view> words);

}  // namespace engram
