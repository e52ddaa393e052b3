// SPDX-License-Identifier: Apache-2.0
// A store in a process of one's own, and the requests that its threads make of it.
//
// Whoever holds `turning_` is the loop. A thread that asks for something takes a turn itself, so
// what ends in that turn needs no other thread. Of what a read has workers do it does a part
// itself: a search runs on the thread that asked. The store's own thread turns when there is
// something to do that nobody waits for, or that others have done.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "core/result.h"
#include "core/scratch.h"
#include "server/commands/context.h"
#include "server/engine/persistence.h"
#include "server/engine/store.h"
#include "server/metrics/server_stats.h"
#include "server/session/session.h"

namespace engram {

/// Lives with a store, beside the calls, and has its part in each turn, whoever takes it.
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

  /// Begins a request, in a turn, with the promise of its reply; the reply's bytes mean nothing.
  using Begin = std::function<void(Store& store, Deferred reply)>;

  /// Calls `begin`, here or where the request that keeps it waiting ends, and returns when the
  /// promise was kept and what it changed is as durable as the policy says. Errors: kIo, kNoSpace
  /// if the journal cannot keep it; kUnsupported after close().
  Status call(CommandKind kind, Begin begin, bool writes_later = false);
  /// The same where the kind depends on what the store holds: it is asked in the turn in which the
  /// request begins.
  using KindOf = std::function<CommandKind(Store& store)>;
  Status call(KindOf kind_of, Begin begin, bool writes_later = false);

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
  void sleep(std::optional<std::chrono::milliseconds> longest, bool is_patient);
  // With turning_ held.
  void begin_turn();
  void end_turn();
  bool take_turns(const std::shared_ptr<Call>& call, std::unique_lock<std::mutex>& turn);
  std::unique_ptr<Scratch> take_scratch();
  void release_finished();

  SnapshotRules snapshots_;
  Settle settle_;  // empty: nobody lives here
  std::mutex mutex_;
  std::condition_variable changed_;  // woken_
  std::atomic<bool> woken_ = false;  // set under mutex_

  std::mutex turning_;  // of what follows, and of the store
  std::unique_ptr<Store> store_;
  ServerStats stats_;
  std::unique_ptr<Sessions> sessions_;
  std::unique_ptr<StoreResident> resident_;
  std::list<std::shared_ptr<Call>> calls_;           // begun, or waiting for their turn
  std::vector<std::unique_ptr<Scratch>> scratches_;  // that no caller has
  std::size_t working_callers_ = 0;
  std::int64_t next_tick_ms_ = 0;
  bool closing_ = false;

  Status closed_;  // set by the thread's end
  std::mutex joining_;
  std::thread thread_;  // joining_
};

}  // namespace engram
