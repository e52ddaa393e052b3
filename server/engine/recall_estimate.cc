// SPDX-License-Identifier: Apache-2.0
#include "server/engine/recall_estimate.h"

#include <algorithm>
#include <cmath>

namespace engram {

/// Shares in [0, 1] of mean p vary by at most p (1 - p), as if each search were found or missed as
/// a whole. The less they vary, the more independent observations they are worth.
RecallEstimate estimate_recall(std::size_t k, std::uint64_t count, double sum, double squares) {
  constexpr double kZ = 1.959964;  // 95 %
  const auto searches = static_cast<double>(count);
  const double p = std::clamp(sum / searches, 0.0, 1.0);
  const double spread = p * (1 - p);
  const double variance =
      count < 2 ? spread : std::max(0.0, squares - sum * sum / searches) / (searches - 1);
  const double least_variance = spread / static_cast<double>(k);
  const double n = spread > 0 ? searches * spread / std::max(variance, least_variance) : searches;
  const double middle = (p + kZ * kZ / (2 * n)) / (1 + kZ * kZ / n);
  const double half = kZ / (1 + kZ * kZ / n) * std::sqrt(spread / n + kZ * kZ / (4 * n * n));
  // Rounding may leave what was measured just outside.
  return {k, count, p, std::clamp(middle - half, 0.0, p), std::clamp(middle + half, p, 1.0)};
}

bool RecallCounts::add(std::size_t k, std::size_t found) {
  Kind* const kind = std::find_if(kinds_.begin(), kinds_.end(),
                                  [k](const Kind& each) { return each.k == k || each.k == 0; });
  if (kind == kinds_.end()) return false;
  kind->k = k;
  if (kind->latest.count == kWindow) {
    kind->former = kind->latest;
    kind->latest = {};
  }
  const double share = static_cast<double>(found) / static_cast<double>(k);
  ++kind->latest.count;
  kind->latest.sum += share;
  kind->latest.squares += share * share;
  return true;
}

std::vector<RecallEstimate> RecallCounts::estimates() const {
  std::vector<RecallEstimate> all;
  for (const Kind& kind : kinds_) {
    if (kind.k == 0) continue;
    all.push_back(estimate_recall(kind.k, kind.former.count + kind.latest.count,
                                  kind.former.sum + kind.latest.sum,
                                  kind.former.squares + kind.latest.squares));
  }
  std::sort(all.begin(), all.end(),
            [](const RecallEstimate& a, const RecallEstimate& b) { return a.k < b.k; });
  return all;
}

}  // namespace engram
