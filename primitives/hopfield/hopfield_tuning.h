// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/recall.h"
#include "primitives/shared/separation/separation_choice.h"

namespace engram::hopfield {

/// What VTUNE found.
struct HopfieldTuning {
  double beta = 0;  ///< for `separation`; 0: nothing yet
  double gap = 0;   ///< the 10th percentile of what separates an item from its nearest neighbour
  double negative_gaps = 0;  ///< the share of items that another one is more similar to than itself
  double items = 0;          ///< how many there were
  double energy_q50 = 0;     ///< quantiles of the energy at an item, among the others
  double energy_q90 = 0;
  double energy_q99 = 0;
  SeparationChoice separation;  ///< that of the energies
};

/// How many gaps a beta spans: the margin, at which the greater of two weights is one; where there
/// is none 2 ln 100: an item with a hundred others that far away keeps 0.99 of the weight at
/// itself.
double kappa(const Separation& separation) noexcept;

/// The beta that the gap found means for a separation; 0 if nothing was found yet.
double beta_for(const HopfieldTuning& tuned, const Separation& separation) noexcept;

/// As numbers with names, for the journal.
Tuning to_numbers(const HopfieldTuning& tuned);

/// Its opposite; what is missing, or no number, is as if VTUNE had never run.
HopfieldTuning from_numbers(const Tuning& tuning);

/// Whether the quantiles are of this energy.
bool describes(const HopfieldTuning& tuned, double beta,
               const SeparationChoice& separation) noexcept;

}  // namespace engram::hopfield
