// SPDX-License-Identifier: Apache-2.0
// From a cue downhill to a state, and what is known there.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "core/index.h"
#include "core/recall.h"
#include "primitives/hopfield/hopfield_energy.h"
#include "primitives/hopfield/hopfield_settings.h"
#include "primitives/shared/candidates/candidates.h"
#include "primitives/shared/weights/support.h"

namespace engram::hopfield {

/// What a worker keeps between recalls.
struct HopfieldBuffers {
  EnergyBuffers energy;
  Weighing weighing;
  std::vector<Slot> candidates;
  std::vector<Hit> hits;
  std::vector<double> sum;
  AlignedBuffer state;
  AlignedBuffer next;
  AlignedBuffer own_row;  // of one item, where the store keeps codes
};

/// One recall. Looks at all items, or at the nearest to the cue: then those nearest to where it
/// comes to rest join them (to every state, if the separation is sparse), until there is nothing
/// new there. More items only lower the energy, so its trace falls all the same.
class HopfieldDescent {
 public:
  HopfieldDescent(const IndexContext& context, const HopfieldEnergy& energy,
                  const HopfieldSettings& settings, const recall::Items& items, Scratch& scratch,
                  HopfieldBuffers& buffers)
      : context_(context),
        energy_(energy),
        settings_(settings),
        scratch_(scratch),
        buffers_(buffers),
        items_(items) {}

  /// Recalls from `cue`, whose vector has become the row in buffers.state, zeros in the place of
  /// what is hidden. At least one item.
  Status run(const Cue& cue, std::size_t top, Recall& recall);

  /// After run(): fills in Recall::mean, which is of the weights of softmax.
  void describe_mean(const Cue& cue, Recall& recall);

 private:
  float* state() { return reinterpret_cast<float*>(buffers_.state.reserve(bytes())); }
  float* next() { return reinterpret_cast<float*>(buffers_.next.reserve(bytes())); }
  std::size_t bytes() const { return query_bytes(context_.store.dim()); }

  void see_all();
  Status complete(const Cue& cue, Recall& recall);
  Status descend(const Cue& cue, Recall& recall);
  std::size_t first_count() const;
  Status look_around();
  Status add_nearest(std::size_t count);
  bool is_sparse() const;
  bool weigh();
  bool step(const Cue& cue);
  double truncation() const;

  recall::Support support() const { return {buffers_.candidates, buffers_.weighing.weights}; }
  void describe_state(std::size_t top, Recall& recall);

  const IndexContext& context_;
  const HopfieldEnergy& energy_;
  const HopfieldSettings& settings_;
  Scratch& scratch_;
  HopfieldBuffers& buffers_;
  const recall::Items items_;

  bool sees_all_ = false;
  bool has_weights_ = false;  // false where no item has a similarity
  std::size_t count_ = 0;     // of near items that were enough so far
  // Of the last look around.
  bool found_new_ = false;
  double truncated_ = 0;
};

}  // namespace engram::hopfield
