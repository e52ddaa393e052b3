// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/recall.h"
#include "primitives/recall/separation.h"

namespace engram::recall {

/// What VTUNE found.
struct Tuned {
  double beta = 0;  ///< for `separation`; 0: nothing yet
  double gap = 0;   ///< the 10th percentile of what separates an item from its nearest neighbour
  double negative_gaps = 0;  ///< the share of items that another one is more similar to than itself
  double items = 0;          ///< how many there were
  double energy_q50 = 0;     ///< quantiles of the energy at an item, among the others
  double energy_q90 = 0;
  double energy_q99 = 0;
  SeparationRule separation;  ///< that of the energies
};

/// How many gaps a beta spans: 2 ln 100 for softmax and topk, so that of two items that far apart
/// either has 0.99 of the weight at itself; else the margin at which the greater weight is one.
double kappa(const SeparationRule& separation) noexcept;

/// The beta that the gap found means for a separation; 0 if nothing was found yet.
double beta_for(const Tuned& tuned, const SeparationRule& separation) noexcept;

/// As numbers with names, for the journal.
Tuning to_numbers(const Tuned& tuned);

/// Its opposite; what is missing, or no number, is as if VTUNE had never run.
Tuned from_numbers(const Tuning& tuning);

/// Whether the quantiles are of this energy.
bool describes(const Tuned& tuned, double beta, const SeparationRule& separation) noexcept;

}  // namespace engram::recall
