// SPDX-License-Identifier: Apache-2.0
// A client that speaks RESP: commands in, replies out in their order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "server/hosts/router/call.h"
#include "server/hosts/router/commands.h"
#include "server/hosts/router/front.h"
#include "server/net/unique_fd.h"
#include "server/resp/parser.h"

namespace engram::router {

/// Threads: the event loop's only.
class RespFront final : public Front {
 public:
  /// `progressed` is called when a reply has come. `services` live longer.
  RespFront(UniqueFd fd, std::uint64_t id, RouterServices& services,
            std::function<void()> progressed);

 private:
  bool start_next() override;
  void collect_replies() override;
  [[nodiscard]] bool is_idle() const noexcept override { return replies_.empty(); }
  [[nodiscard]] bool is_closing() const noexcept override { return client_.is_closing; }

  [[nodiscard]] bool may_start(CommandKind kind, std::uint64_t order) const noexcept;
  void start(const CommandSpec& spec, std::uint64_t order, std::vector<std::string> argv);
  void refuse(std::string_view error);

  RouterServices& services_;
  RouterClient client_;
  RequestParser parser_;
  std::deque<std::shared_ptr<PendingReply>> replies_;
  const std::shared_ptr<std::size_t> load_ = std::make_shared<std::size_t>(0);  // in bytes
  std::size_t reads_ = 0;                                                       // under way
  std::size_t writes_ = 0;                          // likewise, on the index as a whole
  std::unordered_set<std::uint64_t> keys_written_;  // hashes
};

}  // namespace engram::router
