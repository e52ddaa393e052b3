// SPDX-License-Identifier: Apache-2.0
// The weakest items of a collection. The rule: they are sought among the items at the start, whose
// rows are pinned meanwhile, in steps, each a job of its own on the bulk lane. How strong an item
// is may change at any time: who acts on what was found compares first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/result.h"
#include "server/engine/operations.h"
#include "server/engine/read_view.h"
#include "server/engine/slot_table.h"

namespace engram {

struct WeakItem {
  std::string key;
  double log_strength;
};

/// Which are wanted.
struct WeakItemsParams {
  double below;        ///< those weaker than that; infinity: any that may be forgotten
  std::int64_t at_ms;  ///< the time that strengths are of
  std::size_t limit;   ///< so many at most, the weakest
};

/// Threads: the event loop's only.
class WeakItems {
 public:
  using Done = std::function<void(Result<std::vector<WeakItem>>)>;

  /// All of it outlives this.
  WeakItems(const ReadView& view, SlotTable& slots, Operations& operations)
      : view_(view), slots_(slots), operations_(operations) {}

  /// Calls `done` with the items, weakest first, equal ones by key. Only where there are strengths.
  /// Errors: kResourceExhausted.
  void find(const WeakItemsParams& params, Done done);

 private:
  struct Search;

  void step(const std::shared_ptr<Search>& search);
  void advance(Search& search) const;
  void keep_weakest(Search& search) const;

  const ReadView& view_;
  SlotTable& slots_;
  Operations& operations_;
};

}  // namespace engram
