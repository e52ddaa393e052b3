// SPDX-License-Identifier: Apache-2.0
// The clients that asked with MONITOR to see every command.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "server/commands/client.h"
#include "server/commands/context.h"

namespace engram {

class Sessions;

/// Threads: the event loop's only.
class Monitors {
 public:
  explicit Monitors(Sessions& sessions) noexcept : sessions_(sessions) {}

  [[nodiscard]] bool empty() const noexcept { return watching_.empty(); }
  /// Until its client().monitors is false, or it goes.
  void add(ClientId id);

  /// Shows them a command of `client`. One that has more than kMostUnread bytes to read is given to
  /// `drop` instead.
  void show(const CommandSpec& spec, Arguments argv, const Client& client,
            const std::function<void(ClientId)>& drop);

  static constexpr std::size_t kMostUnread = 32UL << 20;

 private:
  Sessions& sessions_;
  std::vector<ClientId> watching_;
};

/// The line that shows a command, in Redis's form: unix time, database and address of the client,
/// then the arguments in quotes. Of arguments beyond a mebibyte in all it tells how many they are.
std::string monitor_line(std::int64_t unix_us, std::string_view address, const CommandSpec& spec,
                         Arguments argv);

}  // namespace engram
