// SPDX-License-Identifier: Apache-2.0
#include "server/engine/query_plan.h"

namespace engram {

SearchWay choose_way(const Index& index, const Traits& traits, const SearchParams& params) {
  if (!traits.takes_items || traits.exact) return SearchWay::kScan;
  return index.plan(params).walks ? SearchWay::kWalk : SearchWay::kScan;
}

}  // namespace engram
