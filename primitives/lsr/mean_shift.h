// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/recall.h"
#include "primitives/lsr/lsr_recaller.h"
#include "primitives/lsr/neighborhood.h"
#include "primitives/shared/weights/support.h"

namespace engram::lsr {

/// -1/beta ln sum over `near` of s [1 - square / radius^2], which is the energy of lsr_recaller.h.
double energy_of(const std::vector<Near>& near, double radius);

/// One recall, from a cue that has become the row in buffers.state. Moves to the mean of the items
/// within the radius until those are the same as before.
class MeanShift {
 public:
  MeanShift(const MemoryView& memory, const RowAlgebra& algebra, const LsrSettings& settings,
            double radius, const recall::Items& items, const Bias* bias, Scratch& scratch,
            LsrBuffers& buffers)
      : memory_(memory),
        settings_(settings),
        radius_(radius),
        items_(items.count),
        scratch_(scratch),
        buffers_(buffers),
        neighborhood_(memory, algebra, items, bias, scratch, buffers) {}

  /// There is at least one item.
  Status run(const Cue& cue, std::size_t top, Recall& recall);

  /// After run(): fills in Recall::mean.
  void describe_mean(Recall& recall);

 private:
  Status look(std::vector<Near>& near) {
    return neighborhood_.look(radius_, settings_.candidate_count, near);
  }
  Status step_inside(Recall& recall);
  Status settle(Recall& recall);
  void fill_hidden();
  recall::Support support();
  void describe(std::size_t top, Recall& recall);

  const MemoryView& memory_;
  const LsrSettings& settings_;
  double radius_;
  const std::size_t items_;  // how many there are
  Scratch& scratch_;
  LsrBuffers& buffers_;
  Neighborhood neighborhood_;
};

}  // namespace engram::lsr
