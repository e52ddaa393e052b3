// SPDX-License-Identifier: Apache-2.0
#include <sys/epoll.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <utility>

#include "core/assert.h"
#include "server/net/poller.h"
#include "server/net/unique_fd.h"

namespace engram {
namespace {

class EpollPoller final : public Poller {
 public:
  explicit EpollPoller(UniqueFd epoll) noexcept : epoll_(std::move(epoll)) {}

  Status add(int fd, std::uint64_t token, Interest interest) override {
    epoll_event event = describe(token, interest);
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0) return {};
    return fail(ErrorCode::kIo, std::string("cannot watch a descriptor: ") + std::strerror(errno));
  }

  void modify(int fd, std::uint64_t token, Interest interest) override {
    epoll_event event = describe(token, interest);
    ENGRAM_ASSERT(::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event) == 0);
  }

  void remove(int fd) override {
    ENGRAM_ASSERT(::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr) == 0);
  }

  std::span<const PollEvent> wait(std::chrono::microseconds timeout) override {
    const int count = wait_for_ready(timeout);
    if (count < 0) {
      ENGRAM_ASSERT(errno == EINTR);
      return {};
    }
    const auto events = static_cast<std::size_t>(count);
    for (std::size_t i = 0; i < events; ++i) events_[i] = translate(ready_[i]);
    return {events_.data(), events};
  }

 private:
  // Few enough that the clients of one turn are answered before the last of them has waited long.
  static constexpr std::size_t kEventsPerTurn = 256;

  int wait_for_ready(std::chrono::microseconds timeout) {
    const int most = static_cast<int>(ready_.size());
    const auto ms = std::chrono::ceil<std::chrono::milliseconds>(timeout);
    if (has_fine_timeouts_ && timeout.count() > 0 && ms != timeout) {
      const timespec time{
          .tv_sec = timeout / std::chrono::seconds(1),
          .tv_nsec = timeout % std::chrono::seconds(1) / std::chrono::nanoseconds(1)};
      const int count = ::epoll_pwait2(epoll_.get(), ready_.data(), most, &time, nullptr);
      if (count >= 0 || errno == EINTR) return count;
      has_fine_timeouts_ = false;  // a kernel before 5.11, or a sandbox that does not know the call
    }
    return ::epoll_wait(epoll_.get(), ready_.data(), most,
                        timeout.count() < 0 ? -1 : static_cast<int>(ms.count()));
  }

  static epoll_event describe(std::uint64_t token, Interest interest) {
    epoll_event event{};
    if (interest.readable) event.events |= EPOLLIN;
    if (interest.writable) event.events |= EPOLLOUT;
    event.data.u64 = token;
    return event;
  }

  static PollEvent translate(const epoll_event& event) {
    const bool hung_up = (event.events & (EPOLLHUP | EPOLLERR)) != 0;
    return {.token = event.data.u64,
            .readable = hung_up || (event.events & EPOLLIN) != 0,
            .hung_up = hung_up};
  }

  UniqueFd epoll_;
  bool has_fine_timeouts_ = true;
  std::array<epoll_event, kEventsPerTurn> ready_{};
  std::array<PollEvent, kEventsPerTurn> events_{};
};

}  // namespace

Result<std::unique_ptr<Poller>> make_epoll_poller() {
  UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.valid()) {
    return fail(ErrorCode::kIo,
                std::string("cannot create an epoll instance: ") + std::strerror(errno));
  }
  return std::make_unique<EpollPoller>(std::move(epoll));
}

}  // namespace engram
