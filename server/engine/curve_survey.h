// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>

#include "core/recall.h"
#include "server/engine/read_view.h"

namespace engram {

/// An index of fewer items gets no curve: it answers by a scan.
inline constexpr std::size_t kFewestForCurve = 1000;

/// A survey that, after all of `survey`, which may be null, asks a sample of the items for their
/// neighbours by search and by scan, each as if it were no item, and adds a RecallCurve to the
/// tuning; nothing to that of an exact index, nor if there are fewer than kFewestForCurve.
///
/// params: at least params.sample items are asked, and as many as a good estimate takes. Items of
/// different strength are compared as if they were equal. The view outlives it, and so does what
/// `params` refers to.
std::unique_ptr<Survey> with_curve(std::unique_ptr<Survey> survey, const ReadView& view,
                                   const SurveyParams& params);

}  // namespace engram
