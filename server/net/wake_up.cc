// SPDX-License-Identifier: Apache-2.0
#include "server/net/wake_up.h"

#include <sys/eventfd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

namespace engram {

Result<WakeUp> WakeUp::make() {
  UniqueFd event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!event.valid()) {
    return fail(ErrorCode::kIo, std::string("cannot create an eventfd: ") + std::strerror(errno));
  }
  return WakeUp(std::move(event));
}

void WakeUp::notify() const noexcept {
  const int saved = errno;
  // It can only fail when the counter is full, and then the descriptor is readable already.
  const eventfd_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(event_.get(), &one, sizeof one);
  errno = saved;
}

void WakeUp::drain() const noexcept {
  eventfd_t count = 0;
  [[maybe_unused]] const ssize_t got = ::read(event_.get(), &count, sizeof count);
}

}  // namespace engram
