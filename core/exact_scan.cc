// SPDX-License-Identifier: Apache-2.0
#include "core/exact_scan.h"

#include "core/biased_top_k.h"

namespace engram {
namespace {

/// Passes on what it is offered, and counts it.
template <class Nearest>
class Counting {
 public:
  explicit Counting(Nearest& nearest) noexcept : nearest_(nearest) {}

  void offer_all(std::span<const Slot> slots, std::span<const float> scores) {
    count_ += slots.size();
    nearest_.offer_all(slots, scores);
  }
  void offer_run(Slot first, std::span<const float> scores) {
    count_ += scores.size();
    nearest_.offer_run(first, scores);
  }
  std::size_t count() const noexcept { return count_; }

 private:
  Nearest& nearest_;
  std::size_t count_ = 0;
};

/// Returns how many it offered.
template <class Nearest>
std::size_t scan_counting(const Bound& query, const SlotSet& held, const ItemFilter* items,
                          Nearest& nearest) {
  Counting counting(nearest);
  if (items == nullptr) {
    scan_into(query, held, 0, Slot{kMaxSlots}, counting);
  } else {
    scan_into(query, AcceptedSlots(held, *items), 0, Slot{kMaxSlots}, counting);
  }
  return counting.count();
}

}  // namespace

void scan_with_conditions(const Bound& query, const SlotSet& held, const SearchParams& params,
                          std::vector<Hit>& hits) {
  TopK nearest(params.k, hits, params.max_score);
  std::size_t scored = 0;
  if (params.k > 0 && params.bias == nullptr) {
    scored = scan_counting(query, held, params.items, nearest);
  } else if (params.k > 0) {
    BiasedTopK biased(nearest, *params.bias);
    scored = scan_counting(query, held, params.items, biased);
  }
  nearest.finish();
  if (params.effort != nullptr) params.effort->scored += scored;
}

}  // namespace engram
