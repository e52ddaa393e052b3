// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "core/result.h"
#include "server/commands/front_end.h"

namespace engram {

/// There are no connections.
class NoFrontEnd final : public FrontEnd {
 public:
  void for_each_client(const std::function<void(Client&)>&) override {}
  [[nodiscard]] std::size_t client_count() const override { return 0; }
  void refresh_client(ClientId) override {}
  void close_client(ClientId) override {}
  Result<int> listen(const std::vector<std::string>&, int) override {
    return fail(ErrorCode::kUnsupported, "this process does not listen");
  }
  void request_shutdown() override {}
};

}  // namespace engram
