// SPDX-License-Identifier: Apache-2.0
// Surveys of a collection. The rule: a survey is of the items at its start, whose rows it pins to
// its end; it runs in steps, each a job of its own, between which other jobs get their turn. One
// that does not tune also counts the items that a search does not find (census.h); one that does
// also finds out what recall takes (curve_survey.h).
//
// Only rows are kept: the index may let go of erased slots meanwhile, because writers wait for
// that.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "core/recall.h"
#include "core/result.h"
#include "server/engine/filtered_items.h"
#include "server/engine/operations.h"
#include "server/engine/read_view.h"
#include "server/engine/slot_table.h"

namespace engram {

/// What to make of a survey, on a worker.
using SurveyWork = std::function<void(const ReadView&, const Survey&)>;

/// What a survey looks at: how the index recalls and how it searches, as far as it does, or only
/// how it searches (curve_survey.h).
enum class SurveyScope : std::uint8_t { kAll, kSearches };

/// Threads: the event loop's only.
class Surveys {
 public:
  /// All of it outlives this.
  Surveys(const ReadView& view, SlotTable& slots, Operations& operations)
      : view_(view), slots_(slots), operations_(operations) {}

  /// See Collection::survey(). among: may be null.
  void start(const SurveyParams& params, SurveyScope scope, std::int64_t at_ms,
             std::shared_ptr<const FilteredItems> among, SurveyWork finish,
             std::function<void(Status)> done);

 private:
  struct Run;

  void step(const std::shared_ptr<Run>& run);
  Status advance(Run& run, Scratch& scratch) const;
  Status begin(Run& run) const;

  const ReadView& view_;
  SlotTable& slots_;
  Operations& operations_;
};

}  // namespace engram
