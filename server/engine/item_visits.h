// SPDX-License-Identifier: Apache-2.0
// Long looks at the items of a collection. The rule: they see the items that there were at the
// start, whose rows and keys are pinned meanwhile, in steps, each a job of its own on the bulk
// lane.
#pragma once

#include <functional>

#include "core/result.h"
#include "core/scratch.h"
#include "core/slot_set.h"
#include "server/engine/operations.h"
#include "server/engine/read_view.h"
#include "server/engine/slot_table.h"

namespace engram {

/// Threads: the event loop's only; steps run on workers.
class ItemVisits {
 public:
  /// Takes some milliseconds, and returns whether there is more to do.
  using Step = std::function<bool(const ReadView&, const SlotSet& items, Scratch&)>;

  /// All of it outlives this.
  ItemVisits(const ReadView& view, SlotTable& slots, Operations& operations)
      : view_(view), slots_(slots), operations_(operations) {}

  /// Calls `step` until it returns false, then `done` on the loop. Errors: kResourceExhausted, and
  /// nothing was begun.
  Status start(Step step, std::function<void()> done);

 private:
  struct Visit;

  void take_step(const std::shared_ptr<Visit>& visit);

  const ReadView& view_;
  SlotTable& slots_;
  Operations& operations_;
};

}  // namespace engram
