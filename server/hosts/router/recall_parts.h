// SPDX-License-Identifier: Apache-2.0
// One recall out of those of partitions. Where an energy is -1/beta ln of a sum that has a term of
// each item, a partition's part of the sum is e^(-beta E_p): that is its share in all weights, and
// the next state is the mean of theirs. With the greatest part taken out first, nothing overflows.
#pragma once

#include <cstddef>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/recall.h"
#include "core/result.h"
#include "server/resp/reply.h"

namespace engram::router {

/// What VRECALL ... WITHMEAN STEPS 0 of one partition answers.
struct PartRecall {
  const Reply* fields = nullptr;  ///< the whole reply; null: the partition has no items
  RecallMean mean;
  double energy = std::numeric_limits<double>::infinity();
  double beta = 0;
  double weight = 0;     ///< the greatest at the state
  double posterior = 0;  ///< the greatest at the cue
  double entropy = 0;
  double effective_count = 0;
  double distance = 0;
  double truncated = 0;
  bool exact = true;
  bool outside = false;
  std::vector<float> state = {};
};

/// `dim` is that of the index. Errors: kDataLoss unless the reply, of RESP3, is such an answer.
Result<PartRecall> part_recall(const Reply& reply, std::size_t dim);

/// The partitions' shares in something of which each has `logs` (the logarithm) of the sum. Zero
/// where that is not finite.
struct Shares {
  std::vector<double> of;  ///< they add up to 1, unless all are zero
  double log_sum = -std::numeric_limits<double>::infinity();
};
Shares shares_of(std::span<const double> logs);

/// The energy of all items, and the partitions' shares in their weights.
Shares energy_shares(std::span<const PartRecall> parts);

/// The mean of the items of all partitions, by their weights. One of them has some.
std::vector<double> mean_of(std::span<const PartRecall> parts);

/// Of weights as a whole: those of each partition and its share.
double entropy_of(std::span<const PartRecall> parts, const Shares& shares);
double effective_count_of(std::span<const PartRecall> parts, const Shares& shares);

/// The partition with the greatest weight at the state, or at the cue; the lowest of equal ones.
std::size_t heaviest_at_state(std::span<const PartRecall> parts, const Shares& shares);
std::size_t heaviest_at_cue(std::span<const PartRecall> parts, const Shares& shares);

/// A row of `support`: key, weight, and what else was asked for.
struct SupportRow {
  double weight;  ///< among all items
  const Reply* fields;
};

/// The `top` heaviest items, descending; of equal ones that of the lower partition is first. Rows
/// have `stride` fields.
std::vector<SupportRow> support_of(std::span<const PartRecall> parts, const Shares& shares,
                                   std::size_t stride, std::size_t top);

}  // namespace engram::router
