// SPDX-License-Identifier: Apache-2.0
#include "primitives/recall/support.h"

#include <algorithm>

#include "primitives/recall/separation.h"

namespace engram::recall {
namespace {

constexpr double kPatternWeight = 0.99;
constexpr double kMetastableCount = 1.5;

RecallKind kind_of(double weight, double effective_count, std::size_t items) {
  if (weight >= kPatternWeight) return RecallKind::kPattern;
  if (effective_count > static_cast<double>(items) / 2) return RecallKind::kGlobal;
  return effective_count > kMetastableCount ? RecallKind::kMetastable : RecallKind::kMixed;
}

}  // namespace

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
  recall.kind = kind_of(recall.attractor->weight, recall.effective_count, items);
  for (std::size_t i = 0; i < support.slots.size(); ++i) {
    if (support.weights[i] > 0) recall.support.push_back({support.slots[i], support.weights[i]});
  }
  const auto heavier = [](const Share& a, const Share& b) {
    return a.weight > b.weight || (a.weight == b.weight && a.slot < b.slot);
  };
  const std::size_t shown = std::min(top, recall.support.size());
  const auto end = recall.support.begin() + static_cast<std::ptrdiff_t>(shown);
  std::partial_sort(recall.support.begin(), end, recall.support.end(), heavier);
  recall.support.resize(shown);
}

}  // namespace engram::recall
