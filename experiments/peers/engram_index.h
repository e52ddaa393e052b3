// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string_view>

#include "core/make_index.h"

namespace engram::peers {

/// A primitive below the server. options: as VNEW takes them. Those of a comparison are right, so
/// this cannot fail.
OwnedIndex make_engram_index(std::string_view name, Metric metric, std::size_t dim,
                             std::span<const OptionText> options);

}  // namespace engram::peers
