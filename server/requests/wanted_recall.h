// SPDX-License-Identifier: Apache-2.0
// RECALL of searches: an effort that is chosen instead of given.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "core/options.h"
#include "core/result.h"
#include "server/engine/effort.h"

namespace engram {

inline constexpr std::string_view kWantedRecall = "RECALL";

/// Takes it by name. Errors: kInvalidArgument for what is no number.
Status take_wanted_recall(std::vector<OptionText>& options, std::optional<double>& recall);

/// Errors: kInvalidArgument if it is not above 0 and at most 1, or if ef is given, too.
Status check_wanted_recall(const std::optional<double>& recall, std::size_t ef);

/// Candidates to keep in a search for `queries`, which choose one of two efforts by a hash.
std::size_t ef_of(const Effort& effort, std::span<const float> queries);

}  // namespace engram
