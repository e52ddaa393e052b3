// SPDX-License-Identifier: Apache-2.0
// What MULTI and its kin do to the session that sent them. The room above implements it.
#pragma once

#include <span>
#include <string_view>

namespace engram {

class CommandContext;

/// Threads: the event loop's only.
class TransactionControl {
 public:
  virtual ~TransactionControl() = default;

  /// Commands are queued, from MULTI to EXEC or DISCARD.
  [[nodiscard]] virtual bool is_open() const noexcept = 0;
  virtual void open() = 0;
  /// Ends an open transaction, if there is one, and forgets what is watched.
  virtual void discard() = 0;
  /// Carries out what is queued and answers `context`, the EXEC, with the replies. Only while open.
  virtual void execute(CommandContext& context) = 0;

  virtual void watch(std::span<const std::string_view> keys) = 0;
  virtual void unwatch() = 0;
  /// Whether a watched key has changed, so that EXEC would do nothing.
  [[nodiscard]] virtual bool is_watch_broken() = 0;
};

}  // namespace engram
