// SPDX-License-Identifier: Apache-2.0
#include "server/session/call_log.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>

#include "tests/server/services_fixture.h"

namespace engram::call_log_test {
namespace {

constexpr std::uint64_t kLongNs = 20'000'000;

void pass_time() {
  const std::uint64_t begun = steady_ns();
  while (steady_ns() - begun < kLongNs) {
  }
}

class Fixture : public test::ServicesFixture {
 public:
  CommandTable::Resolution resolve(Arguments argv) const { return command_table().resolve(argv); }
  const CommandStat& stat(std::string_view name) const {
    return stats.calls[command_table().number_of(name)];
  }

  Client client;
  CallLog log{services, client};
  const std::array<std::string_view, 2> get = {"GET", "a"};
  const std::array<std::string_view, 1> refused = {"GET"};
  const std::array<std::string_view, 1> ping = {"PING"};
};

/// The least of several attempts: the machine may be busy.
template <class Attempt>
std::uint64_t least_ns(Fixture& fixture, std::string_view name, Attempt&& attempt) {
  std::uint64_t least = UINT64_MAX;
  for (int i = 0; i < 5; ++i) {
    const std::uint64_t before = fixture.stat(name).ns;
    fixture.log.begin_run();
    attempt();
    fixture.log.end_run();
    least = std::min(least, fixture.stat(name).ns - before);
  }
  return least;
}

TEST_CASE_FIXTURE(Fixture, "session/call_log: a command is not charged with one that was refused") {
  const std::uint64_t ns = least_ns(*this, "ping", [this] {
    log.begin(resolve(refused), refused);
    pass_time();
    log.skip();
    log.begin(resolve(ping), ping);
    log.end(false);
  });
  CHECK(stat("ping").calls == 5);
  CHECK(ns < kLongNs / 2);
}

TEST_CASE_FIXTURE(Fixture, "session/call_log: nor is one that shares the time of its neighbours") {
  const std::uint64_t ns = least_ns(*this, "get", [this] {
    for (int i = 0; i < 3; ++i) {
      log.begin(resolve(get), get);
      log.end(false);
    }
    log.begin(resolve(refused), refused);  // of the same name
    pass_time();
    log.skip();
    log.begin(resolve(get), get);
    log.end(false);
  });
  CHECK(stat("get").calls == 20);
  CHECK(ns < kLongNs / 2);
}

TEST_CASE_FIXTURE(Fixture, "session/call_log: what begins a deferred command is its own time") {
  std::uint64_t place = 0;
  const std::uint64_t ns = least_ns(*this, "ping", [this, &place] {
    log.begin(resolve(get), get);
    log.defer(++place);
    pass_time();
    log.skip();
    log.begin(resolve(ping), ping);
    log.end(false);
    log.complete(place, false);
  });
  CHECK(ns < kLongNs / 2);
  CHECK(stat("get").ns >= 5 * kLongNs);
}

}  // namespace
}  // namespace engram::call_log_test
