// SPDX-License-Identifier: Apache-2.0
// A server in this process over a directory, and what a client can learn of its data.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "core/result.h"
#include "server/durability/file_system.h"
#include "server/hosts/serve/server.h"
#include "tests/support/resp_client.h"

namespace engram::test {

/// Serves on a thread of its own, from start() to destruction.
class StoreServer {
 public:
  /// Over `directory`, every change synced before it is answered; in memory only if it is empty.
  /// Errors: those of Server::make.
  static Result<std::unique_ptr<StoreServer>> start(const std::string& directory, FileSystem& disk);
  ~StoreServer();
  StoreServer(const StoreServer&) = delete;
  StoreServer& operator=(const StoreServer&) = delete;

  [[nodiscard]] RespClient connect() const { return RespClient(server_->port()); }

 private:
  explicit StoreServer(std::unique_ptr<Server> server);

  std::unique_ptr<Server> server_;
  std::thread thread_;
};

/// A command as the bytes of its request.
using Command = std::string;
using Digest = std::vector<std::string>;

/// Four packed floats that no other seed gives.
std::string packed_vector(int seed);

/// The commands of the sweeps, in the groups in which they are sent as a pipeline: every kind of
/// change, collections of every primitive, snapshots between and beside them.
std::vector<std::vector<Command>> workload();

/// The replies to questions about all keys that the workload ever writes. Waits for those that
/// expire to be gone.
Digest digest(RespClient& client);

/// Asks INFO until it says `field:value`; false if it never does.
bool await_info(RespClient& client, std::string_view section, std::string_view field_and_value);

/// Returns when the last snapshot has been read back, and what was kept until then is gone: the
/// directory holds no other, and one segment of the journal.
void await_one_generation(const std::string& directory);

/// True if the reply says that a command was carried out.
inline bool is_success(std::string_view reply) {
  return !reply.empty() && reply[0] != '-';
}

}  // namespace engram::test
