// SPDX-License-Identifier: Apache-2.0
// A consolidation that is carried out: each group that is found is written, in its index or in
// another, in the loop's spare time and when no transaction is open.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "core/result.h"
#include "server/durability/journal.h"
#include "server/engine/collection.h"
#include "server/engine/consolidation.h"
#include "server/runtime/loop_slices.h"

namespace engram {

class Store;

/// Threads: the event loop's only, except as members say.
class ConsolidationRun : public std::enable_shared_from_this<ConsolidationRun> {
 public:
  struct Order {
    std::shared_ptr<Collection> from;
    std::shared_ptr<Collection> into;  ///< takes the prototypes; null: `from` itself
    ConsolidationParams params = {};
    bool is_dry = false;  ///< nothing is written
  };
  struct Caller {
    /// Whether to go on; asked between steps, and before each group is written.
    std::function<Status()> check;
    /// Asked once more, when the groups are known and nothing was written. Empty: nothing to ask.
    std::function<Status(const Consolidation&)> check_groups;
    /// With no error: all groups are written that could be, and the work is still there to be told
    /// of, until whoever is told ends it. With one: those before it stay written. An answer waits
    /// for `lsn`, if that is not 0.
    std::function<void(const std::shared_ptr<ConsolidationRun>& run, const Status& status, Lsn lsn)>
        ended;
  };

  /// store outlives it. `work` was begun by order.from.
  ConsolidationRun(Store& store, Order order, std::shared_ptr<Consolidation> work, Caller caller);

  /// Once.
  void start() { next(); }

  /// Any thread, once it has ended.
  [[nodiscard]] const Consolidation& work() const noexcept { return *work_; }
  void end_work() { work_->end(); }
  /// How many items have become one with another in `from`, also where it failed later.
  [[nodiscard]] std::size_t absorbed() const noexcept { return absorbed_; }
  /// Of the one that a group becomes: a count where there are no strengths, or what counts is how
  /// often an item was met. Any thread.
  [[nodiscard]] double strength_of(const ConsolidationGroup& group) const;

 private:
  void next();
  void take(const Result<std::span<ConsolidationGroup>>& groups);
  Status check_state();
  void write();
  bool write_some(LoopSlices::Clock::time_point until);
  void write_one(ConsolidationGroup& group);
  Status start_write(ConsolidationGroup& group);
  Status check_writable();
  struct Large;
  using Time = LoopSlices::Clock::time_point;
  using LargeWork = bool (ConsolidationRun::*)(const std::shared_ptr<Large>& large, Time until);
  void add_slice(const std::shared_ptr<Large>& large, LargeWork step);
  void begin_large(ConsolidationGroup& group);
  bool renew_large(const std::shared_ptr<Large>& large, Time until);
  void put_large(const std::shared_ptr<Large>& large);
  bool erase_large(const std::shared_ptr<Large>& large, Time until);
  void close_large(const std::shared_ptr<Large>& large, const Status& status);
  void end_large_part(const std::shared_ptr<Large>& large, const Status& status);
  Status put_elsewhere(const ConsolidationGroup& group);
  void end_write(const Status& status);
  void end_batch_if_written();
  void seal();
  void fail_with(Error error);

  Store& store_;
  const Order order_;
  const Caller caller_;
  const std::shared_ptr<Consolidation> work_;
  std::span<ConsolidationGroup> batch_;  // being written
  std::size_t begun_ = 0;                // of batch_
  std::size_t under_way_ = 0;
  bool is_waiting_ = false;  // for a turn to write more
  bool is_first_ = true;
  std::size_t written_ = 0;   // groups
  std::size_t absorbed_ = 0;  // items
  Status status_;
  Lsn lsn_ = 0;
};

}  // namespace engram
