// SPDX-License-Identifier: Apache-2.0
// The engine in the process of a server: a Store without a directory, turned by the server's main
// thread, which is its event loop. Workers search; what changes something is done to its end by
// the main thread itself, so that it is one step to everybody, and the same on a replica.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <thread>

#include "core/result.h"
#include "server/commands/context.h"
#include "server/config/config.h"
#include "server/engine/collection.h"
#include "server/engine/recovery.h"
#include "server/engine/store.h"
#include "server/hosts/embedded/no_front_end.h"
#include "server/hosts/module/effects.h"
#include "server/metrics/server_stats.h"
#include "server/net/wake_up.h"
#include "server/session/sessions.h"

namespace engram::host {

/// What INFO tells.
struct HostStats {
  std::uint64_t blocked_commands = 0;  ///< that workers have answered, or will
  std::uint64_t forks = 0;
  std::uint64_t longest_fork_wait_us = 0;  ///< until the workers were quiet
  std::uint64_t restless_forks = 0;        ///< whose child could not save, because they were not
};

/// While it lives, the main thread does what is submitted; see WorkerPool::keep_jobs().
class KeptJobs {
 public:
  explicit KeptJobs(WorkerPool& workers) : workers_(workers) { workers_.keep_jobs(true); }
  ~KeptJobs() { workers_.keep_jobs(false); }
  KeptJobs(const KeptJobs&) = delete;
  KeptJobs& operator=(const KeptJobs&) = delete;

 private:
  WorkerPool& workers_;
};

/// Threads: the main thread's only.
class Host final : private StoreLoop {
 public:
  /// Errors: those of Store::open; kIo if descriptors ran out.
  static Result<std::unique_ptr<Host>> open(std::size_t workers);

  [[nodiscard]] Store& store() noexcept { return *store_; }
  [[nodiscard]] Sessions& sessions() noexcept { return *sessions_; }
  [[nodiscard]] Services& services() noexcept { return *services_; }
  [[nodiscard]] Effects& effects() noexcept { return effects_; }
  [[nodiscard]] HostStats& stats() noexcept { return stats_; }
  [[nodiscard]] RecoveryContext recovery_context();
  /// Readable when turn() has something to do.
  [[nodiscard]] int fd() const noexcept { return wake_up_.fd(); }

  /// Brings what workers have done to its end.
  void turn();

  /// Calls `begin`, and does what that submits until `has_ended` is true: no worker begins any of
  /// it, and what was submitted before goes on.
  void run_to_end(const std::function<void()>& begin, const std::function<bool()>& has_ended);
  /// Until workers have ended what was submitted before.
  void run_until_idle();

  /// Frees a collection, a large one in the background. Any thread.
  void let_go(std::shared_ptr<Collection> collection);

  /// Has a collection that was made elsewhere record its changes here.
  void adopt(Collection& collection);

  // Around a fork, see pthread_atfork().

  void before_fork();
  void after_fork_in_parent();
  void after_fork_in_child() noexcept { is_child_ = true; }
  [[nodiscard]] bool is_child() const noexcept { return is_child_; }
  /// In a child of a fork: whether no worker was at anything, so that no lock is held for ever.
  [[nodiscard]] bool is_quiet() const noexcept { return is_quiet_; }

 private:
  explicit Host(WakeUp wake_up) : wake_up_(std::move(wake_up)) {}
  Status start(std::size_t workers);

  void wake() override { wake_up_.notify(); }
  void wait() override;

  WakeUp wake_up_;
  ServerConfig config_;
  ServerStats server_stats_;
  NoFrontEnd front_end_;
  Effects effects_;  // outlives the collections
  HostStats stats_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<Sessions> sessions_;
  std::optional<Services> services_;
  const std::thread::id main_thread_ = std::this_thread::get_id();
  bool is_child_ = false;
  bool is_quiet_ = true;
};

/// Of this process, from the load of the module to its end.
Host& the_host() noexcept;
[[nodiscard]] bool has_host() noexcept;
void set_host(std::unique_ptr<Host> host) noexcept;

}  // namespace engram::host
