// SPDX-License-Identifier: Apache-2.0
// Effort by recall. The rule: an index finds out what recall its searches have when that is asked
// for the first time, and whoever asks waits for it; again, beside everything else, when one asks
// and there are twice or half as many items. What was found is kept as its tuning is.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

#include "core/result.h"
#include "server/engine/collection.h"
#include "server/engine/store.h"

namespace engram {

/// What a search is to do: see SearchParams.
struct Effort {
  std::size_t ef = 0;
  bool is_narrow = false;
  bool scans = false;  ///< looks at all items; then ef is as great as it can be
  double more = 0;     ///< the share of searches that keep one candidate more
};

/// Calls `done`, now or later, with the effort that searches for k need to find that share of the
/// true nearest, on average; above 0, at most 1. For an exact index it is that of any search; where
/// there are few items, or nothing less is enough, that of a scan. Errors: those of
/// Collection::survey(). Threads: the event loop's only.
void choose_effort(Store& store, const std::shared_ptr<Collection>& collection, std::size_t k,
                   double recall, std::function<void(Result<Effort>)> done);

}  // namespace engram
