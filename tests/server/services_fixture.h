// SPDX-License-Identifier: Apache-2.0
// What commands share, around a store without a host.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "server/commands/table.h"
#include "server/config/config.h"
#include "server/metrics/server_stats.h"
#include "server/session/sessions.h"
#include "tests/server/request_fixture.h"

namespace engram::test {

class NoClients final : public FrontEnd {
 public:
  void for_each_client(const std::function<void(Client&)>&) override {}
  [[nodiscard]] std::size_t client_count() const override { return 7; }
  void refresh_client(ClientId) override {}
  void close_client(ClientId) override {}
  Result<int> listen(const std::vector<std::string>&, int port) override { return port; }
  void request_shutdown() override {}
};

class ServicesFixture : public RequestFixture {
 public:
  explicit ServicesFixture(StoreOptions options = {.workers = 2})
      : RequestFixture(std::move(options)) {}

  NoClients clients;
  ServerConfig config;
  ServerStats stats;
  Sessions sessions{*store, stats};
  Services services{*store, config, stats, clients, sessions, sessions, command_table()};
};

}  // namespace engram::test
