// SPDX-License-Identifier: Apache-2.0
// `engram serve --role router`: stateless, before a Redis Cluster whose nodes have the module.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "server/config/config.h"
#include "server/hosts/router/call.h"
#include "server/hosts/router/front.h"
#include "server/hosts/router/timers.h"
#include "server/hosts/serve/listeners.h"
#include "server/net/wake_up.h"

namespace engram::router {

/// HTTP, of the program that links that door.
struct HttpDoorway {
  /// The front of a client. What is passed by reference lives longer.
  std::unique_ptr<Front> (*open)(UniqueFd fd, std::uint64_t id, RouterServices& services,
                                 const ServerConfig& config, std::function<void()> progressed);
  /// The response to a client that is not served.
  std::string (*refusal)(int status, std::string_view sentence);
};

/// A single-threaded readiness loop over listeners, clients and nodes. Everything belongs to the
/// thread that calls run(), except what says otherwise.
class Router {
 public:
  /// Listens when it returns; takes of `config` what is about clients. Errors: kIo if it cannot
  /// listen; kResourceExhausted if descriptors are too few; kInvalidArgument for settings that a
  /// router has no use for; kUnsupported where HTTP is wanted and `http` is none.
  static Result<std::unique_ptr<Router>> make(ServerConfig config, ClusterSettings settings,
                                              std::optional<HttpDoorway> http = {});

  /// Serves until request_shutdown(). Once.
  void run();

  /// Thread-safe and async-signal-safe.
  void request_shutdown();

  [[nodiscard]] int port() const noexcept { return services_.port; }

 private:
  Router(const ServerConfig& config, ClusterSettings settings, std::optional<HttpDoorway> http,
         WakeUp wake_up, std::unique_ptr<Poller> poller);

  Status listen();

  void turn();
  void handle(const PollEvent& event);
  void accept_from(int listener);
  void admit(UniqueFd fd, bool speaks_http);
  void drop_silent(std::int64_t now_ms);
  void set_accepting(bool accepting);
  void enqueue(std::uint64_t id);
  void serve_queued();

  const ServerConfig config_;
  const std::optional<HttpDoorway> http_;
  WakeUp wake_up_;
  std::unique_ptr<Poller> poller_;
  Listeners listeners_;
  Listeners http_listeners_;
  Cluster cluster_;
  Timers timers_;
  Layouts layouts_;
  RouterCounts counts_;
  RouterServices services_;
  std::map<std::uint64_t, std::unique_ptr<Front>> fronts_;
  std::vector<std::uint64_t> queued_;
  std::uint64_t last_id_ = 0;
  std::int64_t looked_for_silent_ms_ = 0;
  std::int64_t accept_again_ms_ = 0;  // after descriptors have run out
  std::atomic<bool> stop_ = false;
};

/// The addresses of `host:port,host:port...`. Errors: kInvalidArgument.
Result<std::vector<Address>> parse_cluster(std::string_view text);

}  // namespace engram::router
