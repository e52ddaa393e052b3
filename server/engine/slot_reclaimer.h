// SPDX-License-Identifier: Apache-2.0
// When a former slot may be released. The rule: when every job that ran at its erasure has ended;
// and where the index refers to erased slots (Traits::deferred_reclaim), after Index::reclaim() has
// let go of it and every job that ran beside that has ended, too.
//
// Reclaiming goes in batches, never beside a save, and writers that erase faster than it are slowed
// down to its pace.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "core/index.h"
#include "core/result.h"
#include "server/engine/fifo.h"
#include "server/engine/operations.h"
#include "server/engine/slot_table.h"
#include "server/metrics/index_series.h"

namespace engram {

/// Threads: the event loop's only.
class SlotReclaimer {
 public:
  /// All of it outlives this.
  SlotReclaimer(const Traits& traits, SlotTable& slots, Index& index, Operations& operations,
                IndexSeries& series)
      : traits_(traits), slots_(slots), index_(index), operations_(operations), series_(series) {}

  /// Takes a current slot that the index has erased.
  void retire(Slot slot);
  /// Takes a staged slot that the index could not insert.
  void discard(Slot slot);
  /// Takes a loaded slot that is the place of no key.
  void take_loaded(Slot slot);

  /// Calls `start` now, or when reclaiming has caught up. In order: none overtakes one that waits.
  void admit_write(std::function<void()> start);

  /// Frees all slots that hold nothing, which takes until the jobs that run have ended, then calls
  /// `done`. Not while paused. Errors: those of Index::reclaim().
  void settle(std::function<void(Status)> done);

  [[nodiscard]] bool is_reclaiming() const noexcept { return is_reclaiming_; }

  /// Calls `ready` when nothing is being reclaimed; nothing is until resume(). Not beside settle().
  void pause(std::function<void()> ready);
  void resume();

  /// Forgets what waits; for shutdown.
  void abandon_waiting();

 private:
  using Slots = std::shared_ptr<const std::vector<Slot>>;
  using Done = std::function<void(Status)>;

  [[nodiscard]] std::size_t worth_reclaiming() const noexcept;
  [[nodiscard]] bool is_behind() const noexcept;
  void reclaim_if_worthwhile();
  void start(Done done);
  void reclaim(const Slots& slots, const Done& done);
  void finish(const Slots& slots, Status status, const Done& done);

  const Traits& traits_;
  SlotTable& slots_;
  Index& index_;
  Operations& operations_;
  IndexSeries& series_;
  std::vector<Slot> erased_;  // await reclaim
  Fifo<std::function<void()>> delayed_writes_;
  std::vector<std::function<void()>> after_reclaim_;
  bool is_reclaiming_ = false;
  bool is_paused_ = false;
};

}  // namespace engram
