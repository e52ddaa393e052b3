// SPDX-License-Identifier: Apache-2.0
// What commands may ask of whoever owns the connections. The room above implements it, so that
// commands need not know sockets.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "core/result.h"
#include "server/commands/client.h"

namespace engram {

/// Threads: the event loop's only.
class FrontEnd {
 public:
  virtual ~FrontEnd() = default;

  virtual void for_each_client(const std::function<void(Client&)>& visit) = 0;
  [[nodiscard]] virtual std::size_t client_count() const = 0;

  /// Brings up to date what Client tells of a connection.
  virtual void refresh_client(ClientId id) = 0;

  /// Drops the connection at the end of this turn, unsent replies included.
  virtual void close_client(ClientId id) = 0;

  /// Listens on every address at `port` and nowhere else; on failure nothing has changed. Returns
  /// the port, which the kernel chooses if `port` is 0.
  virtual Result<int> listen(const std::vector<std::string>& addresses, int port) = 0;

  virtual void request_shutdown() = 0;
};

}  // namespace engram
