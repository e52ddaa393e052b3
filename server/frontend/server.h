// SPDX-License-Identifier: Apache-2.0
// The server as a library: one event loop, its connections, the keyspace and the workers.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <tsl/robin_map.h>

#include "core/result.h"
#include "server/commands/context.h"
#include "server/commands/front_end.h"
#include "server/config/config.h"
#include "server/engine/keyspace.h"
#include "server/frontend/connection.h"
#include "server/frontend/listeners.h"
#include "server/net/poller.h"
#include "server/net/unique_fd.h"
#include "server/net/wake_up.h"
#include "server/runtime/stats.h"
#include "server/runtime/worker_pool.h"

namespace engram {

/// A single-threaded readiness loop over listeners, clients and one wake-up descriptor. Everything
/// belongs to the thread that calls run(), except what says otherwise.
class Server final : public FrontEnd {
 public:
  /// Listens already when it returns. Errors: kIo if it cannot listen, or `dir` is no directory;
  /// kResourceExhausted if descriptors are too few.
  static Result<std::unique_ptr<Server>> make(ServerConfig config);

  ~Server() override;

  /// Serves until request_shutdown(). Once.
  void run();

  /// Thread-safe and async-signal-safe.
  void request_shutdown() override;

  /// The port it listens on. Thread-safe.
  [[nodiscard]] int port() const noexcept { return port_.load(); }

  void for_each_client(const std::function<void(Client&)>& visit) override;
  [[nodiscard]] std::size_t client_count() const override { return connections_.size(); }
  void close_client(ClientId id) override;
  Result<int> listen(const std::vector<std::string>& addresses, int port) override;
  std::uint64_t defer_reply(ClientId id, std::size_t expected_bytes) override;
  void complete_reply(ClientId id, std::uint64_t sequence, std::string bytes) override;

 private:
  Server(ServerConfig config, WakeUp wake_up, std::unique_ptr<Poller> poller);

  void abandon_waiting_operations();
  void turn();
  void handle(const PollEvent& event);
  [[nodiscard]] int wait_ms() const;
  void tick();
  void sample_throughput();
  void drop_silent_clients();
  void expire_keys();
  void accept_from(int listener);
  void admit(UniqueFd fd);
  void enqueue(Connection& connection);
  void serve_queued();
  void close(Connection& connection);
  Connection* find(ClientId id);

  ServerConfig config_;
  ServerStats stats_;
  WakeUp wake_up_;
  std::unique_ptr<Poller> poller_;
  Listeners listeners_;
  Keyspace keyspace_;
  WorkerPool workers_;
  Services services_;
  tsl::robin_map<ClientId, std::unique_ptr<Connection>> connections_;
  ClientId last_client_ = 0;
  std::vector<ClientId> queued_;   // to be looked at in this turn
  std::vector<ClientId> serving_;  // keeps its capacity between turns
  std::int64_t next_tick_ms_ = 0;
  std::int64_t sampled_ms_ = 0;
  std::uint64_t sampled_commands_ = 0;
  std::atomic<int> port_ = 0;
  std::atomic<bool> stop_ = false;
};

}  // namespace engram
