// SPDX-License-Identifier: Apache-2.0
// The jobs of one collection. The rule: a job starts when the gate admits it, counts as running
// until its completion has been handled, and keeps the collection alive until then.
#pragma once

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "core/scratch.h"
#include "server/engine/access_gate.h"
#include "server/engine/grace_period.h"
#include "server/runtime/worker_pool.h"

namespace engram {

/// Threads: the event loop's only; `work` runs on a worker.
class Operations {
 public:
  using Access = AccessGate::Access;
  using Work = std::function<void(Scratch&)>;

  /// `writes_run_alone`: the index is not Traits::concurrent.
  Operations(WorkerPool& workers, bool writes_run_alone)
      : workers_(workers), write_access_(writes_run_alone ? Access::kExclusive : Access::kShared) {}

  /// A step, on a worker, of what is to be done before anything that when_warm() starts; true:
  /// there is more. To be called once, before the first job; without it everything is warm.
  void set_warm_up(std::function<bool()> step) { warm_up_ = std::move(step); }
  [[nodiscard]] bool is_warm() const noexcept { return !warm_up_; }

  /// What contains this. To be called once, before the first job.
  void set_owner(std::weak_ptr<void> owner) { owner_ = std::move(owner); }
  [[nodiscard]] std::shared_ptr<void> owner() const { return owner_.lock(); }

  /// Runs `work` on a worker when the gate admits it, then `done` on the event loop.
  void run(Access access, Lane lane, Work work, std::function<void()> done);

  /// Calls `start` when the index is warm: at once, or later and in the order of the calls.
  void when_warm(std::function<void()> start);

  /// As run(), beside other readers.
  void read(Lane lane, Work work, std::function<void()> done) {
    run(Access::kShared, lane, std::move(work), std::move(done));
  }
  /// As run(), alone if the index needs that.
  void write(Work work, std::function<void()> done) {
    run(write_access_, Lane::kBulk, std::move(work), std::move(done));
  }

  /// Calls `start` when reading may begin, as if for a job that ends with end_reading().
  void begin_reading(std::function<void()> start) {
    gate_.enter(Access::kShared, std::move(start));
  }
  void end_reading() { gate_.leave(Access::kShared); }

  /// Calls `action` when every job that runs now has ended: at once, if none does.
  void after_running(std::function<void()> action) { grace_.after(std::move(action)); }

  /// Whether jobs wait for workers, of this collection or another.
  [[nodiscard]] bool is_loaded() const { return workers_.queue_depth() > 0; }

  [[nodiscard]] std::size_t workers() const noexcept { return workers_.size(); }

  /// Forgets the jobs that have not started; for shutdown.
  void abandon_waiting() {
    gate_.abandon_waiting();
    std::exchange(cold_, {});
  }

 private:
  class Operation;
  class WarmUp;

  void take_warm_up_step();

  WorkerPool& workers_;
  const Access write_access_;
  std::weak_ptr<void> owner_;
  AccessGate gate_;
  GracePeriod grace_;
  std::function<bool()> warm_up_;            // empty: it is warm
  bool warms_up_ = false;                    // a step is under way
  std::vector<std::function<void()>> cold_;  // starts when it is warm
};

}  // namespace engram
