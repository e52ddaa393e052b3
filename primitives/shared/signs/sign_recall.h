// SPDX-License-Identifier: Apache-2.0
// What recalls of binary memories have in common, whatever changes the signs.
#pragma once

#include <cstddef>
#include <optional>

#include "core/index.h"
#include "core/recall.h"
#include "primitives/shared/signs/signs.h"

namespace engram::recall {

/// How a memory changes a state: one and the same from the first call to the last, which nobody
/// else changes.
class SignDynamics {
 public:
  virtual ~SignDynamics() = default;

  /// Of a state that is known as a whole; none if the memory has no energy. It does not rise by an
  /// update.
  virtual std::optional<double> energy(const SignState& state) = 0;

  /// Gives every free sign its turn. Returns whether one changed, or became known.
  virtual bool update(SignState& state) = 0;

  /// ln of an item's share in a state, or of any multiple of it: -infinity for none. mismatches: of
  /// the `known` signs.
  virtual double log_share(std::size_t mismatches, std::size_t known) const = 0;

  /// Whether the memory covers the state. By default it does.
  virtual bool covers(const SignState& /*state*/) const { return true; }
};

/// What a worker keeps between recalls.
struct SignBuffers {
  SignItems items;
  std::vector<std::size_t> mismatches;
  std::vector<double> shares;
  std::vector<double> weights;
};

/// Recalls from `cue` by at most `steps` updates, and describes what came of it. buffers.items are
/// read already. An item's weight is its share; where nobody has one, those with the fewest
/// mismatches share all. Energies are those of whole states. What is done with `scratch` may be
/// abandoned.
void recall_signs(const IndexContext& context, const Cue& cue, std::size_t steps, std::size_t top,
                  SignDynamics& dynamics, Scratch& scratch, SignBuffers& buffers, Recall& recall);

}  // namespace engram::recall
