// SPDX-License-Identifier: Apache-2.0
// Which coordinates of a cue are visible.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "core/recall.h"
#include "core/result.h"

namespace engram {

/// `ranges`, in any order, as Cue::visible has them. `index` names the collection, which has `dim`
/// dimensions, in errors. Errors: kInvalidArgument for a range that is empty or ends beyond `dim`.
Result<std::vector<CoordinateRange>> merge_mask(std::vector<CoordinateRange> ranges,
                                                std::string_view index, std::size_t dim);

/// The same of inclusive ranges in text, as in `0-391,5,600-700`; empty if `text` is. Errors:
/// kInvalidArgument.
Result<std::vector<CoordinateRange>> read_mask(std::string_view text, std::string_view index,
                                               std::size_t dim);

}  // namespace engram
