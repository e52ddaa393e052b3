// SPDX-License-Identifier: Apache-2.0
// Measured recall. The rule: a share of the searches, which a hash chooses, is repeated exactly
// over the items of its moment, one at a time and in steps, while workers have nothing else to do;
// what cannot wait for that is dropped.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "core/slot_set.h"
#include "server/engine/collection_changes.h"
#include "server/engine/fifo.h"
#include "server/engine/grace_period.h"
#include "server/engine/operations.h"
#include "server/engine/read_view.h"
#include "server/engine/recall_estimate.h"
#include "server/engine/slot_table.h"

namespace engram {

/// A search that was chosen, and what it answered.
struct SearchToMeasure {
  std::vector<float> query;
  std::size_t k;
  std::int64_t at_ms;            ///< where there are strengths: the time of them
  std::vector<float> distances;  ///< of the answers, ascending
  std::uint64_t version;         ///< of the collection's content when it began
};

/// Threads: the event loop's only.
class MeasuredRecall {
 public:
  struct Parts {
    const ReadView& view;
    SlotTable& slots;
    Operations& operations;
    const CollectionChanges& changes;
  };

  /// share: above 0, at most 1. All of `parts` outlives this.
  MeasuredRecall(double share, const Parts& parts);

  /// Whether the next search is to be measured. The same share of them in the same order gives the
  /// same choice.
  [[nodiscard]] bool chooses() noexcept;

  /// Takes one that has ended just now. It is dropped if anything was written while it ran, if
  /// workers have more to do than they can, or if too many wait.
  void offer(SearchToMeasure search);

  [[nodiscard]] std::vector<RecallEstimate> estimates() const { return counts_.estimates(); }
  [[nodiscard]] std::uint64_t dropped() const noexcept { return dropped_; }
  /// Whether one is being measured, or waits.
  [[nodiscard]] bool is_busy() const noexcept { return is_measuring_; }

 private:
  struct Run;

  void start_next();
  void step(const std::shared_ptr<Run>& run);
  void end(Run& run);

  const Parts parts_;
  const std::uint64_t threshold_;  // hashes below it choose
  std::uint64_t searches_ = 0;
  std::uint64_t dropped_ = 0;
  Fifo<std::shared_ptr<Run>> waiting_;
  bool is_measuring_ = false;
  RecallCounts counts_;
};

}  // namespace engram
