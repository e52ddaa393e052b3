// SPDX-License-Identifier: Apache-2.0
// Where a server listens, and what it says of that.
#include <algorithm>
#include <string>
#include <utility>

#include "server/engine/persistence.h"
#include "server/hosts/serve/server.h"
#include "server/runtime/log.h"

namespace engram {

std::string Server::description() {
  Persistence* const persistence = store_->persistence();
  std::string text = "everything is in memory only, ";
  text += config_.dir.empty() ? "without --dir" : "with appendonly no";
  if (persistence != nullptr) {
    const Keyspace& keyspace = store_->keyspace();
    text = config_.dir + " holds " + std::to_string(keyspace.size()) + " keys, " +
           std::to_string(keyspace.collection_names().size()) + " of them indexes, " +
           std::to_string(persistence->facts().replayed_frames) + " changes from the journal";
  }
  for (const std::string& address : config_.bind) {
    text.append("; ").append(address).append(":").append(std::to_string(port()));
  }
  for (const std::string& address : config_.grpc_bind) {
    if (config_.grpc_port == 0) break;
    text.append("; grpc://").append(address).append(":").append(std::to_string(config_.grpc_port));
  }
  if (config_.http_port == 0) return text;
  for (const std::string& address : config_.http_bind) {
    text.append("; http://").append(address).append(":").append(std::to_string(config_.http_port));
  }
  return text;
}

Result<int> Server::listen(const std::vector<std::string>& addresses, int port) {
  auto chosen = open_listeners(addresses, port);
  if (!chosen) log_warning(chosen.error().message);
  return chosen;
}

Result<int> Server::open_listeners(const std::vector<std::string>& addresses, int port) {
  auto chosen = listeners_.change(addresses, port, config_.tcp_backlog);
  if (!chosen) return chosen;
  port_.store(*chosen);
  warn_of_reach(listeners_.reach_beyond_loopback());
  return chosen;
}

Status Server::listen_for_http() {
  if (config_.http_port == 0) return {};
  const auto port =
      http_listeners_.change(config_.http_bind, config_.http_port, config_.tcp_backlog);
  if (!port) return tl::unexpected<Error>(port.error());
  warn_of_reach(http_listeners_.reach_beyond_loopback());
  return {};
}

Status Server::listen_for_grpc(GrpcOpener open_grpc) {
  if (config_.grpc_port == 0) return {};
  if (open_grpc == nullptr) {
    return fail(ErrorCode::kUnsupported, "this build has no gRPC, so grpc-port must be 0");
  }
  auto opened = open_grpc(*sessions_, *services_, [this] { wake_up_.notify(); });
  if (!opened) return tl::unexpected(std::move(opened.error()));
  grpc_ = std::move(*opened);
  const auto& addresses = config_.grpc_bind;
  warn_of_reach(!std::all_of(addresses.begin(), addresses.end(), [](const std::string& address) {
    return address.starts_with("127.") || address == "::1" || address == "localhost";
  }));
  return {};
}

void Server::warn_of_reach(bool is_beyond_loopback) const {
  if (is_beyond_loopback && config_.requirepass.empty()) {
    log_warning(config_.protected_mode
                    ? "other computers can reach this server without a password, so protected mode "
                      "refuses them; set requirepass, or protected-mode to no"
                    : "anyone who can reach this server can read and change all of it; set "
                      "requirepass");
  }
}

}  // namespace engram
