// SPDX-License-Identifier: Apache-2.0
// The seam between the event loop and the operating system's readiness interface.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>

#include "core/result.h"

namespace engram {

struct Interest {
  bool readable = false;
  bool writable = false;

  friend bool operator==(const Interest&, const Interest&) = default;
};

struct PollEvent {
  std::uint64_t token;  ///< as given to add()
  bool readable;        ///< a read will not block: data, end of stream or an error is there
  bool hung_up;         ///< both directions are gone; reported whatever the interest
};

/// Level-triggered readiness of descriptors, each under a token that its owner chose. Tokens rather
/// than pointers: an event may outlive what it was meant for. Threads: one.
class Poller {
 public:
  virtual ~Poller() = default;

  virtual Status add(int fd, std::uint64_t token, Interest interest) = 0;
  virtual void modify(int fd, std::uint64_t token, Interest interest) = 0;
  /// To be called before the descriptor is closed.
  virtual void remove(int fd) = 0;

  /// Waits at most for `timeout` (negative: for ever, 0: not at all), or where the system has no
  /// finer clock for that in whole milliseconds, rounded up. The span is valid until the next call.
  virtual std::span<const PollEvent> wait(std::chrono::microseconds timeout) = 0;
};

/// Errors: kIo if the kernel has no more instances.
Result<std::unique_ptr<Poller>> make_epoll_poller();

}  // namespace engram
