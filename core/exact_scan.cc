// SPDX-License-Identifier: Apache-2.0
#include "core/exact_scan.h"

#include "core/biased_top_k.h"

namespace engram {

void scan_nearest(const Bound& query, const SlotSet& held, std::size_t k, std::vector<Hit>& hits,
                  const ScoreBias& bias) {
  TopK nearest(k, hits);
  BiasedTopK biased(nearest, bias);
  if (k > 0) scan_into(query, held, 0, Slot{kMaxSlots}, biased);
  nearest.finish();
}

}  // namespace engram
