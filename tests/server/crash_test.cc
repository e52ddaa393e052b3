// SPDX-License-Identifier: Apache-2.0
// A server that dies, or whose disk fails, at every single operation on its files. Its clients send
// a fixed workload; what a restart finds is what a server without a disk holds after the commands
// that were answered, and perhaps some of those that were not, in their order.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tests/server/store_server.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/files.h"
#include "tests/support/seed.h"
#include "tests/support/step.h"
#include "tests/support/temporary_directory.h"

namespace engram::crash_test {
namespace {

using test::Command;
using test::Digest;
using test::digest;
using test::FaultyFileSystem;
using test::is_success;
using test::RespClient;
using test::StoreServer;

/// The workload, and what the data is after each command: digests[i] after i of them.
struct Script {
  std::vector<std::vector<Command>> groups = test::workload();
  std::vector<Digest> digests;

  Script() {
    const auto server = *StoreServer::start("", posix_file_system());
    RespClient client = server->connect();
    digests.push_back(digest(client));
    for (const auto& group : groups) {
      for (const Command& command : group) {
        client.send(command);
        REQUIRE_FALSE(client.reply().empty());
        digests.push_back(digest(client));
      }
    }
  }
};

const Script& script() {
  static const Script script;
  return script;
}

bool is_save(const Command& command) {
  return command.find("SAVE") != command.npos;
}

/// The states that are right: after so many commands.
struct Outcome {
  std::size_t least = 0;
  std::size_t most = 0;
};

/// Sends the workload until something is not carried out. A snapshot that fails changes nothing.
Outcome send_all(RespClient& client) {
  Outcome outcome;
  for (const auto& group : script().groups) {
    std::string pipeline;
    for (const Command& command : group) pipeline += command;
    client.send(pipeline);
    outcome.most += group.size();
    bool failed = false;
    for (const Command& command : group) {
      if (!is_success(client.reply()) && !is_save(command)) failed = true;
      if (!failed) ++outcome.least;
    }
    if (failed) break;
  }
  return outcome;
}

/// What is wrong with the data; empty if it is one of the right states.
std::string judge(const Digest& found, Outcome outcome) {
  const auto& digests = script().digests;
  for (std::size_t i = outcome.least; i <= outcome.most; ++i) {
    if (found == digests[i]) return {};
  }
  const Digest& expected = digests[outcome.least];
  const auto [a, b] = std::mismatch(found.begin(), found.end(), expected.begin());
  const auto other = std::find(digests.begin(), digests.end(), found);
  const std::string looks =
      other == digests.end()
          ? "no state that ever was"
          : "the state after " + std::to_string(other - digests.begin()) + " commands";
  return "it is " + looks + ", expected that after " + std::to_string(outcome.least) + " to " +
         std::to_string(outcome.most) + "; reply " + std::to_string(a - found.begin()) + " is " +
         *a + " instead of " + *b;
}

/// Starts a server over what is there and judges it.
std::string judge_restart(const std::string& directory, FileSystem& disk, Outcome outcome) {
  const auto server = StoreServer::start(directory, disk);
  if (!server) return "it does not start: " + server.error().message;
  RespClient client = (*server)->connect();
  return judge(digest(client), outcome);
}

/// Runs the workload on the disk, whatever happens to that.
Outcome run(const std::string& directory, FileSystem& disk) {
  const auto server = StoreServer::start(directory, disk);
  if (!server) return {};
  RespClient client = (*server)->connect();
  return send_all(client);
}

std::uint64_t count_operations() {
  const test::TemporaryDirectory directory;
  FaultyFileSystem disk;
  const Outcome outcome = run(directory.path(), disk);
  REQUIRE(outcome.least + 1 == script().digests.size());
  return disk.operations();
}

/// What a death leaves is drawn so many times.
constexpr std::uint64_t kLives = 8;

/// Runs `attempt` for operations 1, 2, ... of the workload, `lives` times for each with another
/// seed, several at a time because most of the time they wait. ENGRAM_CRASH_STEP=n takes every n-th
/// operation only. How the numbers fall upon two threads that use the disk differs a little from
/// run to run.
template <class Attempt>
void sweep(const Attempt& attempt, std::uint64_t lives = 1) {
  constexpr std::size_t kThreads = 6;
  constexpr std::uint64_t kMargin = 4;
  const std::uint64_t step = test::crash_step();
  const std::uint64_t count = count_operations() + kMargin;
  std::atomic<std::uint64_t> next = 1;
  std::mutex mutex;
  std::vector<std::string> failures;
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (std::uint64_t n = next.fetch_add(step); n <= count; n = next.fetch_add(step)) {
        std::string wrong;
        for (std::uint64_t life = 0; life < lives && wrong.empty(); ++life) {
          wrong = attempt(n, test::run_seed() + n * lives + life);
        }
        if (wrong.empty()) continue;
        const std::lock_guard lock(mutex);
        failures.push_back("operation " + std::to_string(n) + ": " + wrong);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  MESSAGE(count << " operations");
  for (const std::string& failure : failures) FAIL_CHECK(failure);
}

/// Lives that end at each operation. `resume(disk, seed)`: what the disk is like afterwards.
template <class Resume>
void sweep_deaths(const Resume& resume) {
  const auto attempt = [&](std::uint64_t n, std::uint64_t seed) {
    const test::TemporaryDirectory directory;
    FaultyFileSystem disk;
    disk.stop_at(n, seed);
    const Outcome outcome = run(directory.path(), disk);
    resume(disk, seed);
    return judge_restart(directory.path(), disk, outcome);
  };
  sweep(attempt, kLives);
}

TEST_CASE("server/crash: killed at any operation, it has all that it had promised") {
  sweep_deaths([](FaultyFileSystem& disk, std::uint64_t) { disk.restart(); });
}

TEST_CASE("server/crash: without power at any operation, it has all that it had promised") {
  sweep_deaths([](FaultyFileSystem& disk, std::uint64_t seed) { disk.lose_unsynced(seed); });
}

TEST_CASE("server/crash: power that goes again while it starts loses nothing more") {
  const auto attempt = [](std::uint64_t n, std::uint64_t seed) {
    constexpr std::uint64_t kOfStart = 8;  // operations
    const test::TemporaryDirectory directory;
    FaultyFileSystem disk;
    disk.stop_at(n, seed);
    const Outcome outcome = run(directory.path(), disk);
    disk.lose_unsynced(seed);
    for (std::uint64_t again = 0; again < 2; ++again) {
      disk.stop_at(disk.operations() + 1 + (seed + again * 3) % kOfStart, seed);
      static_cast<void>(StoreServer::start(directory.path(), disk));
      disk.lose_unsynced(seed + again);
    }
    return judge_restart(directory.path(), disk, outcome);
  };
  sweep(attempt, kLives);
}

/// What a system may answer whom it refuses something for now.
constexpr std::array kErrors = {EIO, EMFILE, ENOSPC, ENOMEM, EINTR};

/// A client that does not give up: it sends one command after the other, again if it must.
class Persevering {
 public:
  explicit Persevering(RespClient& client) : client_(client) {}

  /// Sends the workload, to its end unless it is_failed() by then. Says what was wrong.
  std::string run() {
    for (const auto& group : script().groups) {
      for (const Command& command : group) {
        if (std::string wrong = send(command); !wrong.empty()) return wrong;
        if (failed_) return {};
      }
    }
    return judge(digest(client_), outcome());
  }

  /// A sync has failed, which nothing makes good.
  [[nodiscard]] bool is_failed() const { return failed_; }
  [[nodiscard]] Outcome outcome() const { return {sent_, failed_ ? sent_ + 1 : sent_}; }

 private:
  /// Until it is carried out. Whether one was that is answered with an error shows in the data.
  std::string send(const Command& command) {
    const auto& digests = script().digests;
    while (true) {
      client_.send(command);
      const std::string reply = client_.reply();
      if (is_success(reply) || is_save(command)) break;
      if (!reply.starts_with("-MISCONF ")) return "an answer is " + reply;
      const Digest found = digest(client_);
      if (std::string wrong = judge(found, {sent_, sent_ + 1}); !wrong.empty()) {
        return "while the disk refuses, " + wrong;
      }
      failed_ = reply.find("until the server is started anew") != reply.npos;
      if (failed_) return {};
      if (!test::await_info(client_, "persistence", "aof_last_write_status:ok")) {
        return "it does not recover: " + reply;
      }
      if (found != digests[sent_]) break;
    }
    ++sent_;
    return {};
  }

  RespClient& client_;
  std::size_t sent_ = 0;
  bool failed_ = false;
};

/// What is in memory can be saved whatever has failed: beside the journal, and elsewhere.
std::string judge_rescue(RespClient& client, const std::string& directory,
                         const std::string& elsewhere) {
  if (!client.ask({"SET", "text", "never"}).starts_with("-MISCONF ")) return "it takes a write";
  const Digest held = digest(client);
  if (!test::await_info(client, "persistence", "rdb_bgsave_in_progress:0")) {
    return "a snapshot does not end";
  }
  for (const auto& save : {client.ask({"VSAVE", "TO", elsewhere}), client.ask({"VSAVE"})}) {
    if (save != "+OK\r\n") return "it cannot be saved: " + save;
  }
  // As they are while the process goes on, which may never come to an orderly end.
  const test::TemporaryDirectory again;
  test::write_files(again.path(), test::read_files(directory));
  for (const std::string& place : {elsewhere, again.path()}) {
    const auto server = StoreServer::start(place, posix_file_system());
    if (!server) return "what was saved does not start: " + server.error().message;
    RespClient reader = (*server)->connect();
    if (digest(reader) != held) return "what was saved is not what there was";
    if (reader.ask({"SET", "text", "on"}) != "+OK\r\n") return "what was saved takes no write";
  }
  return {};
}

/// A life in which operation `n` fails once.
std::string live_with_error(std::uint64_t n, int error, bool power, std::atomic<int>& recovered) {
  const test::TemporaryDirectory directory;
  const test::TemporaryDirectory elsewhere;
  FaultyFileSystem disk;
  disk.fail_with(n, error, n % 50);
  auto server = StoreServer::start(directory.path(), disk);
  if (!server) server = StoreServer::start(directory.path(), disk);  // that has passed
  if (!server) return "it does not start: " + server.error().message;
  RespClient client = (*server)->connect();
  Persevering sender(client);
  if (std::string wrong = sender.run(); !wrong.empty()) return wrong;
  if (sender.is_failed()) {
    if (disk.failed_sync().find("/journal-") == std::string::npos) return "no sync has failed";
    std::string wrong = judge_rescue(client, directory.path(), elsewhere.path());
    if (!wrong.empty()) return wrong;
  } else {
    ++recovered;
  }
  server->reset();
  if (power) {
    disk.lose_unsynced(n);
  } else {
    disk.restart();  // this life may have been shorter than the one that was counted
  }
  return judge_restart(directory.path(), disk, sender.outcome());
}

TEST_CASE("server/crash: an error of the disk that passes costs no data and no restart") {
  // Each of the errors at each operation; in the quick suite one of them.
  const std::uint64_t lives = test::crash_step() == 1 ? kErrors.size() : 1;
  std::atomic<int> recovered = 0;
  sweep(
      [&](std::uint64_t n, std::uint64_t seed) {
        const int error = kErrors[seed % kErrors.size()];
        const bool power = seed / kErrors.size() % 2 == 0;
        const std::string wrong = live_with_error(n, error, power, recovered);
        return wrong.empty() ? wrong : std::string(std::strerror(error)) + ": " + wrong;
      },
      lives);
  CHECK(recovered > 0);
}

/// Once writes are refused they stay so, and reads are served.
std::string judge_read_only(RespClient& client, Outcome outcome) {
  if (client.ask({"INFO", "persistence"}).find("aof_last_write_status:err") == std::string::npos) {
    return "INFO does not say that the journal failed";
  }
  if (std::string wrong = judge(digest(client), outcome); !wrong.empty()) {
    return "reading on, " + wrong;
  }
  const std::string reply = client.ask({"SET", "text", "never"});
  if (!reply.starts_with("-MISCONF ")) return "a write after it is answered " + reply;
  return {};
}

TEST_CASE("server/crash: a sync that fails makes it read-only until it is started anew") {
  sweep([](std::uint64_t n, std::uint64_t) -> std::string {
    const test::TemporaryDirectory directory;
    FaultyFileSystem disk;
    disk.fail_with(n, EIO, n % 50);
    Outcome outcome;
    if (const auto server = StoreServer::start(directory.path(), disk)) {
      RespClient client = (*server)->connect();
      outcome = send_all(client);
      const bool is_cut_short = outcome.least + 1 < script().digests.size();
      const bool sync_failed = disk.failed_sync().find("/journal-") != std::string::npos;
      if (is_cut_short && sync_failed) {
        if (std::string wrong = judge_read_only(client, outcome); !wrong.empty()) return wrong;
      }
    }
    disk.restart();
    return judge_restart(directory.path(), disk, outcome);
  });
}

}  // namespace
}  // namespace engram::crash_test
