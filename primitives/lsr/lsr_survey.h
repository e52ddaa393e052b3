// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "core/recall.h"
#include "primitives/shared/surveys/neighbor_gaps.h"

namespace engram::lsr {

/// Finds the radius at which nine items of ten have no other within it: such an item is a fixed
/// point of its own, the others blend with their neighbours.
class LsrSurvey final : public Survey {
 public:
  /// radius: to diagnose; 0: to be found.
  LsrSurvey(recall::NeighborGaps sample, double radius, std::size_t candidates)
      : sample_(std::move(sample)), radius_(radius), candidates_(candidates) {}

  bool step(Scratch& scratch) override;
  Result<Tuning> tuning() const override;
  std::vector<Fact> diagnosis() const override;

 private:
  recall::NeighborGaps sample_;
  const double radius_;
  const std::size_t candidates_;
  std::size_t next_ = 0;
  Status status_;  // what ended it early
};

}  // namespace engram::lsr
