// SPDX-License-Identifier: Apache-2.0
// Which items a state is made of.
#pragma once

#include <cstddef>
#include <span>

#include "core/recall.h"

namespace engram::recall {

/// 1 / sum p^2: how many items share the weight, from 1 (one-hot) to n (uniform). weights: [n], on
/// the simplex. Any thread.
double effective_count(std::span<const double> weights) noexcept;

/// -sum p ln p, in nats: from 0 (one-hot) to ln n (uniform). weights: [n], on the simplex. Any
/// thread.
double entropy(std::span<const double> weights) noexcept;

/// The items `slots` (ascending) with their `weights`: [n], n >= 1, on the simplex.
struct Support {
  std::span<const Slot> slots;
  std::span<const double> weights;

  /// The greatest weight; of equal ones that of the lowest slot.
  Share greatest() const;
};

/// Fills in what a recall reports of the weights at its cue.
void describe_cue(const Support& support, Recall& recall);

/// Fills in what it reports of the weights at its state. items: how many exist; top: how many to
/// name.
void describe_state(const Support& support, std::size_t items, std::size_t top, Recall& recall);

}  // namespace engram::recall
