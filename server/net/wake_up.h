// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/result.h"
#include "server/net/unique_fd.h"

namespace engram {

/// Makes a descriptor readable from another thread or from a signal handler.
class WakeUp {
 public:
  /// Errors: kIo if descriptors ran out.
  static Result<WakeUp> make();

  [[nodiscard]] int fd() const noexcept { return event_.get(); }

  /// Thread-safe and async-signal-safe; leaves errno alone.
  void notify() const noexcept;

  /// Makes it unreadable again. Whatever was notified before is to be looked at after this.
  void drain() const noexcept;

 private:
  explicit WakeUp(UniqueFd event) noexcept : event_(std::move(event)) {}

  UniqueFd event_;
};

}  // namespace engram
