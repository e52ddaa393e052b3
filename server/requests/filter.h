// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "core/options.h"
#include "core/result.h"
#include "server/filters/filter.h"

namespace engram {

/// Errors: those of Filter::compile().
Result<std::shared_ptr<const Filter>> compile_filter(std::string_view text);

/// Takes FILTER from `options`, if it is there. Errors: those of Filter::compile().
Status take_filter(std::vector<OptionText>& options, std::shared_ptr<const Filter>& filter);

}  // namespace engram
