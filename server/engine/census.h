// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "core/index.h"
#include "core/recall.h"

namespace engram {

/// A survey that, after all of `survey`, looks for a sample of the items by their own vectors, and
/// adds to its diagnosis how many were looked for and how many a search does not find. An index
/// that cannot tell (Index::finds) adds nothing. `index` and what `params` refers to outlive it.
std::unique_ptr<Survey> with_census(std::unique_ptr<Survey> survey, const Index& index,
                                    const SurveyParams& params);

}  // namespace engram
