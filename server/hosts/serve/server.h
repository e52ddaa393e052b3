// SPDX-License-Identifier: Apache-2.0
// The server as a library: one event loop, its connections, the keyspace and the workers.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <tsl/robin_map.h>

#include "core/result.h"
#include "server/commands/context.h"
#include "server/commands/front_end.h"
#include "server/config/config.h"
#include "server/doors/grpc/grpc_door.h"
#include "server/durability/file_system.h"
#include "server/engine/store.h"
#include "server/hosts/serve/connection.h"
#include "server/hosts/serve/listeners.h"
#include "server/metrics/server_stats.h"
#include "server/net/poller.h"
#include "server/net/unique_fd.h"
#include "server/net/wake_up.h"
#include "server/session/sessions.h"

namespace engram {

/// A single-threaded readiness loop over listeners, clients and one wake-up descriptor. Everything
/// belongs to the thread that calls run(), except what says otherwise.
class Server final : public FrontEnd, private StoreLoop {
 public:
  /// Has restored its data from `disk`, which outlives it, and listens when it returns. Errors: kIo
  /// if it cannot listen, or `dir` is no directory; kResourceExhausted if descriptors are too few;
  /// those of Store::open; kUnsupported where gRPC is wanted and `open_grpc` is null.
  static Result<std::unique_ptr<Server>> make(ServerConfig config,
                                              FileSystem& disk = posix_file_system(),
                                              GrpcOpener open_grpc = nullptr);

  ~Server() override;

  /// Serves until request_shutdown(). Once. Errors: kIo, kNoSpace if what was changed last may not
  /// be on disk.
  Status run();

  /// Thread-safe and async-signal-safe.
  void request_shutdown() override;

  /// The port it listens on. Thread-safe.
  [[nodiscard]] int port() const noexcept { return port_.load(); }

  /// What it serves and where, for the log. Before run().
  [[nodiscard]] std::string description();

  void for_each_client(const std::function<void(Client&)>& visit) override;
  [[nodiscard]] std::size_t client_count() const override { return connections_.size(); }
  void refresh_client(ClientId id) override;
  void close_client(ClientId id) override;
  Result<int> listen(const std::vector<std::string>& addresses, int port) override;

 private:
  Server(ServerConfig config, WakeUp wake_up, std::unique_ptr<Poller> poller);

  Result<int> open_listeners(const std::vector<std::string>& addresses, int port);
  Status open_store(FileSystem& disk);
  void wake() override;
  void wait() override;
  void save_if_due();
  Status stop();
  std::span<const PollEvent> next_events();
  std::span<const PollEvent> look_for_events();
  void turn();
  void handle(const PollEvent& event);
  [[nodiscard]] std::chrono::milliseconds longest_wait() const;
  void tick();
  void sample_throughput();
  void drop_silent_clients();
  [[nodiscard]] bool drops_silent_clients() const noexcept;
  void drop_lingering_clients();
  void release_idle_buffers();
  void accept_from(int listener);
  void admit(UniqueFd fd, Protocol protocol);
  void refuse(int fd, std::string_view reply);
  Status listen_for_http();
  Status listen_for_grpc(GrpcOpener open_grpc);
  void warn_of_reach(bool is_beyond_loopback) const;
  void set_accepting(bool accepting);
  void enqueue(Connection& connection);
  void serve_queued();
  bool lingers(Connection& connection);
  void unwatch(Connection& connection);
  void close(Connection& connection);
  Connection* find(ClientId id);

  ServerConfig config_;
  ServerStats stats_;
  WakeUp wake_up_;
  std::unique_ptr<Poller> poller_;
  Listeners listeners_;
  Listeners http_listeners_;
  std::unique_ptr<Store> store_;
  std::optional<Sessions> sessions_;  // once there is a store
  std::optional<Services> services_;  // likewise
  std::unique_ptr<GrpcDoor> grpc_;    // null: it is off
  tsl::robin_map<ClientId, std::unique_ptr<Connection>> connections_;
  std::vector<ClientId> queued_;                             // to be looked at in this turn
  std::vector<ClientId> serving_;                            // keeps its capacity between turns
  std::deque<std::pair<std::int64_t, ClientId>> lingering_;  // until when, at most; ascending
  bool some_have_buffers_ = false;                           // idle clients, perhaps
  std::int64_t buffers_released_ms_ = 0;
  std::int64_t next_tick_ms_ = 0;
  std::int64_t sampled_ms_ = 0;
  std::uint64_t sampled_commands_ = 0;
  std::atomic<int> port_ = 0;
  std::atomic<bool> stop_ = false;
};

}  // namespace engram
