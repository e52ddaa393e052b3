// SPDX-License-Identifier: Apache-2.0
// A client of a router: requests in, replies out in their order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <unordered_set>

#include "server/hosts/router/call.h"
#include "server/hosts/router/commands.h"
#include "server/net/byte_buffer.h"
#include "server/net/poller.h"
#include "server/net/unique_fd.h"
#include "server/resp/parser.h"

namespace engram::router {

/// Threads: the event loop's only.
class Front {
 public:
  /// `progressed` is called when a reply has come. `services` live longer.
  Front(UniqueFd fd, std::uint64_t id, RouterServices& services, std::function<void()> progressed);

  [[nodiscard]] int fd() const noexcept { return fd_.get(); }

  /// Takes what has arrived, at most one buffer. is_gone: the client neither sends nor takes
  /// anything more, so if nothing is taken of what has arrived, it is lost.
  void receive(bool is_gone);
  /// Carries out what may be carried out now, and sends what the socket takes.
  void serve();
  /// Nothing is left to do for it.
  [[nodiscard]] bool finished() const noexcept;
  [[nodiscard]] Interest wanted_interest() const noexcept;

  Interest watched;  ///< what the poller has been told

 private:
  bool start_next();
  [[nodiscard]] bool takes_input() const noexcept;
  [[nodiscard]] bool may_start(CommandKind kind, std::uint64_t order) const noexcept;
  void start(const CommandSpec& spec, std::uint64_t order, std::vector<std::string> argv);
  void refuse(std::string_view error);
  void collect_replies();
  void send();

  const UniqueFd fd_;
  RouterServices& services_;
  const std::function<void()> progressed_;
  RouterClient client_;
  ByteBuffer input_;
  RequestParser parser_;
  std::deque<std::shared_ptr<PendingReply>> replies_;
  const std::shared_ptr<std::size_t> load_ = std::make_shared<std::size_t>(0);  // in bytes
  std::size_t reads_ = 0;                                                       // under way
  std::size_t writes_ = 0;                          // likewise, on the index as a whole
  std::unordered_set<std::uint64_t> keys_written_;  // hashes
  std::string output_;
  std::size_t sent_ = 0;
  bool is_held_up_ = false;  // the next command has to wait
  bool input_ended_ = false;
  bool is_lost_ = false;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>();  // replies may outlive a client
};

}  // namespace engram::router
