// SPDX-License-Identifier: Apache-2.0
// A store on a thread of its own, and the requests that other threads make of it.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "core/result.h"
#include "server/commands/context.h"
#include "server/engine/persistence.h"
#include "server/engine/store.h"
#include "server/metrics/server_stats.h"
#include "server/session/session.h"

namespace engram {

/// Lives on the thread of a store, beside the calls, and has its part in each turn.
class StoreResident {
 public:
  virtual ~StoreResident() = default;

  /// Begins requests.
  virtual void execute() = 0;
  /// Passes on the replies of this turn.
  virtual void deliver() = 0;
};

/// Threads: any, unless a member says otherwise.
class StoreThread final : private StoreLoop {
 public:
  /// Makes the resident, on the store's thread, once the data is restored; all outlive it.
  using Settle =
      std::function<std::unique_ptr<StoreResident>(Store&, Sessions&, ServerStats&, StoreThread&)>;

  /// Has restored its data when it returns. Errors: those of Store::open.
  static Result<std::unique_ptr<StoreThread>> start(const StoreOptions& options,
                                                    const SnapshotRules& snapshots,
                                                    Settle settle = {});
  /// As close(), its outcome ignored.
  ~StoreThread() override;
  StoreThread(const StoreThread&) = delete;
  StoreThread& operator=(const StoreThread&) = delete;

  /// Begins a request, on the store's thread, with the promise of its reply; the reply's bytes mean
  /// nothing.
  using Begin = std::function<void(Store& store, Deferred reply)>;

  /// Has `begin` called and returns when the promise was kept and what it changed is as durable as
  /// the policy says. Errors: kIo, kNoSpace if the journal cannot keep it; kUnsupported after
  /// close().
  Status call(CommandKind kind, Begin begin);
  /// The same where the kind depends on what the store holds: it is asked in the turn in which the
  /// request begins.
  using KindOf = std::function<CommandKind(Store& store)>;
  Status call(KindOf kind_of, Begin begin);

  /// The resident gets a turn soon.
  void request_turn() { wake(); }

  /// Ends the store once all calls have returned; a resident's requests that were not answered may
  /// not be. Errors: those of Store::close. Idempotent.
  Status close();

 private:
  class Call;

  StoreThread() = default;

  void wake() override;
  void wait() override;

  void run(const StoreOptions& options, const std::function<void(Status)>& opened);
  void serve();
  void turn();
  void sleep();
  void begin_posted();
  void release_finished();

  SnapshotRules snapshots_;
  Settle settle_;  // empty: nobody lives here
  std::mutex mutex_;
  std::condition_variable changed_;            // woken_
  std::atomic<bool> woken_ = false;            // set under mutex_
  bool closing_ = false;                       // mutex_
  std::vector<std::unique_ptr<Call>> posted_;  // mutex_

  // The thread's.
  std::unique_ptr<Store> store_;
  ServerStats stats_;
  std::unique_ptr<Sessions> sessions_;
  std::unique_ptr<StoreResident> resident_;
  std::list<std::unique_ptr<Call>> calls_;  // begun, or waiting for their turn
  std::int64_t next_tick_ms_ = 0;
  Status closed_;  // set by the thread's end

  std::mutex joining_;
  std::thread thread_;  // joining_
};

}  // namespace engram
