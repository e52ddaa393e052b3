// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "server/commands/context.h"
#include "server/hosts/module/host.h"
#include "server/hosts/module/redis_module.h"
#include "server/session/command_session.h"

namespace engram::host {

/// One command of a client, and its reply, now or later. Threads: the main thread's only.
class Call final : private ClientSink {
 public:
  Call(Host& host, RespVersion version) : session_(host.sessions(), host.services(), sink()) {
    session_.client().resp = version;
  }

  /// Begins it. To be called once.
  void start(Arguments argv);
  [[nodiscard]] bool has_ended() const noexcept { return has_started_ && session_.quiet(); }
  /// After its end.
  [[nodiscard]] const std::string& reply() const noexcept { return reply_; }

  /// The client waits: when the call has ended, it is given to it. Before, it belongs to nobody.
  void block(BlockedClient* client) noexcept { blocked_ = client; }

 private:
  ClientSink& sink() noexcept { return *this; }
  std::string* buffer() override { return &reply_; }
  void reply(std::string_view bytes) override { reply_.append(bytes); }
  std::string refusal(const Error& error) override;
  void progressed() override;

  std::string reply_;
  bool has_started_ = false;
  BlockedClient* blocked_ = nullptr;
  CommandSession session_;
};

}  // namespace engram::host
