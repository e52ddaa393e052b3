// SPDX-License-Identifier: Apache-2.0
// Forgetting: erasing the items of an index that have become weak.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "core/options.h"
#include "core/result.h"
#include "server/engine/weak_items.h"
#include "server/requests/index_ref.h"
#include "server/requests/responder.h"

namespace engram {

struct ForgetRequest {
  IndexRef index;
  double below = 0;                        ///< forgets what is weaker; greater than 0
  std::optional<std::int64_t> at_ms = {};  ///< the time of that; none: that of time_of_read()
  std::size_t limit = kMaxSlots;           ///< so many at most, the weakest
  bool is_dry_run = false;                 ///< only answers
};

/// Takes BELOW, AT and LIMIT by name. Errors: kInvalidArgument, also where BELOW is missing.
Status read_options(std::vector<OptionText> options, ForgetRequest& request);

/// Erases the weak items, and answers with them, weakest first; equal ones by key. All are erased
/// or, after a crash, none. What was touched or put anew meanwhile stays, if it is stronger now.
/// Errors: kInvalidArgument, also for an index without strengths, and if there are more than one
/// answer names; those of WeakItems::find().
void start(Store& store, ForgetRequest request, Responder<std::vector<WeakItem>> responder);

}  // namespace engram
