// SPDX-License-Identifier: Apache-2.0
#include "primitives/shared/weights/support.h"

#include <algorithm>
#include <cmath>

namespace engram::recall {
namespace {

bool is_heavier(const Share& a, const Share& b) {
  return a.weight > b.weight || (a.weight == b.weight && a.slot < b.slot);
}

/// Fills `heaviest` with at most `top` items that have a weight, descending.
void name_heaviest(const Support& support, std::size_t top, std::vector<Share>& heaviest) {
  heaviest.clear();
  for (std::size_t i = 0; i < support.slots.size() && top > 0; ++i) {
    const Share share{support.slots[i], support.weights[i]};
    if (!(share.weight > 0)) continue;
    if (heaviest.size() == top) {
      if (!is_heavier(share, heaviest.front())) continue;
      std::pop_heap(heaviest.begin(), heaviest.end(), is_heavier);
      heaviest.pop_back();
    }
    heaviest.push_back(share);
    std::push_heap(heaviest.begin(), heaviest.end(), is_heavier);
  }
  std::sort_heap(heaviest.begin(), heaviest.end(), is_heavier);
}

}  // namespace

double effective_count(std::span<const double> weights) noexcept {
  double squares = 0;
  for (const double weight : weights) squares += weight * weight;
  return 1 / squares;
}

double entropy(std::span<const double> weights) noexcept {
  double sum = 0;
  for (const double weight : weights) {
    if (weight > 0) sum -= weight * std::log(weight);
  }
  return sum;
}

Share Support::greatest() const {
  const auto best = std::max_element(weights.begin(), weights.end());
  return {slots[static_cast<std::size_t>(best - weights.begin())], *best};
}

void describe_cue(const Support& support, Recall& recall) {
  recall.onestep = support.greatest();
  recall.entropy = entropy(support.weights);
}

void describe_state(const Support& support, std::size_t items, std::size_t top, Recall& recall) {
  recall.attractor = support.greatest();
  recall.effective_count = effective_count(support.weights);
  recall.kind = state_kind(recall.attractor->weight, recall.effective_count, items);
  name_heaviest(support, top, recall.support);
}

}  // namespace engram::recall
