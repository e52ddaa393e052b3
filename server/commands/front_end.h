// SPDX-License-Identifier: Apache-2.0
// What commands may ask of whoever owns the connections. The room above implements it, so that
// commands need not know sockets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/result.h"
#include "server/commands/client.h"
#include "server/durability/store_files.h"

namespace engram {

/// Threads: the event loop's only.
class FrontEnd {
 public:
  virtual ~FrontEnd() = default;

  virtual void for_each_client(const std::function<void(Client&)>& visit) = 0;
  [[nodiscard]] virtual std::size_t client_count() const = 0;

  /// Drops the connection at the end of this turn, unsent replies included.
  virtual void close_client(ClientId id) = 0;

  /// Listens on every address at `port` and nowhere else; on failure nothing has changed. Returns
  /// the port, which the kernel chooses if `port` is 0.
  virtual Result<int> listen(const std::vector<std::string>& addresses, int port) = 0;

  virtual void request_shutdown() = 0;

  /// Reserves the place of one reply in the client's order and returns its sequence number.
  /// The command being executed by `id` is then answered by complete_reply(), not by its writer.
  /// Until then the reply counts as `expected_bytes` of unsent output, which hold back a client
  /// that does not read.
  virtual std::uint64_t defer_reply(ClientId id, std::size_t expected_bytes) = 0;

  /// A reserved place is not left before the journal may acknowledge `lsn`. If it never may, an
  /// error takes the place of the reply. Does nothing if the client has gone.
  virtual void hold_reply(ClientId id, std::uint64_t sequence, Lsn lsn) = 0;

  /// Fills a reserved place. Does nothing if the client has gone.
  virtual void complete_reply(ClientId id, std::uint64_t sequence, std::string bytes) = 0;
};

}  // namespace engram
