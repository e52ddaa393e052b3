// SPDX-License-Identifier: Apache-2.0
#include "server/net/poller.h"

#include <doctest/doctest.h>

#include <chrono>

#include "server/net/wake_up.h"

namespace engram::poller_test {
namespace {

TEST_CASE("net/poller: a wait takes its time, or ends with what is ready") {
  const auto poller = make_epoll_poller().value();
  const WakeUp wake_up = WakeUp::make().value();
  REQUIRE(poller->add(wake_up.fd(), 7, {.readable = true}));
  for (const int micros : {0, 1, 200, 1000, 1500}) {
    using Clock = std::chrono::steady_clock;
    const std::chrono::microseconds wait(micros);
    const auto start = Clock::now();
    CHECK(poller->wait(wait).empty());
    CHECK(Clock::now() - start >= wait);
  }
  wake_up.notify();
  for (const int micros : {-1, 0, 200, 1000}) {
    const auto events = poller->wait(std::chrono::microseconds(micros));
    REQUIRE(events.size() == 1);
    CHECK(events.front().token == 7);
    CHECK(events.front().readable);
  }
  poller->remove(wake_up.fd());
}

}  // namespace
}  // namespace engram::poller_test
