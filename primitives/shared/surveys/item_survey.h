// SPDX-License-Identifier: Apache-2.0
// A survey for memories that may lose items: does an item come back when it is the cue?
#pragma once

#include <cstddef>
#include <mutex>
#include <vector>

#include "core/index.h"
#include "core/recall.h"

namespace engram::recall {

/// Recalls each item of a sample. Its numbers do not change recalls: they say how full the memory
/// is.
class ItemSurvey final : public Survey {
 public:
  /// items: all of those to draw from. `recaller` and the store outlive the survey.
  ItemSurvey(const Recaller& recaller, const VectorStore& store, const SlotSet& items,
             const SurveyParams& params);

  /// The sample; its n-th item is that of the n-th step.
  const std::vector<Slot>& slots() const noexcept { return slots_; }

  bool step(Scratch& scratch) override;
  Result<Tuning> tuning() const override;
  std::vector<Fact> diagnosis() const override;

 private:
  Status recall_item(Slot slot, Scratch& scratch);

  const Recaller& recaller_;
  const VectorStore& store_;
  const SurveyParams params_;
  std::size_t items_ = 0;
  std::vector<Slot> slots_;
  std::size_t next_ = 0;
  Status status_;  // what ended it early
  // Of each that was recalled.
  std::vector<double> recovered_;  // 1 where the item is the attractor, and not outside
  std::vector<double> overlaps_;   // cos(state, item)
  std::vector<double> steps_;
  std::vector<double> energies_;  // at the item; none if there is no energy
};

/// What an ItemSurvey found, kept for VINFO. Threads: every member beside every other.
class SurveyedItems {
 public:
  void adopt(const Tuning& tuning);
  /// Nothing before the first survey. items: how many there are now.
  std::vector<Fact> describe(std::size_t items) const;

 private:
  mutable std::mutex mutex_;  // guards the following
  double items_ = 0;          // 0: nothing yet
  double recovered_ = 0;
  double overlap_ = 0;
};

}  // namespace engram::recall
