// SPDX-License-Identifier: Apache-2.0
// A disk that refuses while a server starts, copies itself or ends.
#include <doctest/doctest.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/server/store_server.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/files.h"
#include "tests/support/step.h"
#include "tests/support/temporary_directory.h"

namespace engram::io_error_test {
namespace {

using test::Digest;
using test::digest;
using test::FaultyFileSystem;
using test::Files;
using test::RespClient;
using test::StoreServer;
using test::TemporaryDirectory;

constexpr std::array kErrors = {EIO, EMFILE, ENOSPC, ENOMEM, EINTR};
constexpr std::string_view kOk = "+OK\r\n";

void fill(RespClient& client) {
  REQUIRE(client.ask({"SET", "text", "one"}) == kOk);
  REQUIRE(client.ask({"VNEW", "hnsw", "4", "METRIC", "l2", "PRIMITIVE", "hnsw"}) == kOk);
  for (const char* const name : {"a", "b", "c"}) {
    REQUIRE(client.ask({"VADD", "hnsw", name, test::packed_vector(*name)}) == ":1\r\n");
  }
}

/// A store of a snapshot and a journal, in which a frame was being written when the process died.
struct Store {
  Files files;
  Digest answers;

  Store() {
    const TemporaryDirectory directory;
    {
      const auto server = std::move(*StoreServer::start(directory.path(), posix_file_system()));
      RespClient client = server->connect();
      fill(client);
      REQUIRE(client.ask({"VSAVE"}) == kOk);
      REQUIRE(client.ask({"APPEND", "text", " and more"}) == ":12\r\n");
      answers = digest(client);
    }
    files = test::read_files(directory.path());
    std::string* newest = nullptr;
    for (auto& [name, content] : files) {
      if (name.starts_with("journal-")) newest = &content;
    }
    *newest += "half a frame";
  }
};

/// Sends `words` until the answer is no MISCONF, for as long as a client would.
std::string insist(RespClient& client, std::initializer_list<std::string_view> words) {
  std::string reply = client.ask(words);
  while (reply.starts_with("-MISCONF ")) {
    if (!test::await_info(client, "persistence", "aof_last_write_status:ok")) break;
    reply = client.ask(words);
  }
  return reply;
}

/// A start over `store` during which one operation fails. Returns what went wrong.
std::string start_with_error(const Store& store, FaultyFileSystem& disk, std::uint64_t power_seed) {
  const TemporaryDirectory directory;
  test::write_files(directory.path(), store.files);
  auto server = StoreServer::start(directory.path(), disk);
  if (!server && server.error().message.size() < 20) return "it does not say why it ends";
  if (!server) server = StoreServer::start(directory.path(), disk);
  if (!server) return "it does not start: " + server.error().message;
  {
    RespClient client = (*server)->connect();
    if (digest(client) != store.answers) return "it does not have what it had";
    const std::string reply = insist(client, {"SET", "late", "last"});
    if (reply != kOk) return "it does not recover: " + reply;
  }
  server->reset();
  disk.lose_unsynced(power_seed);
  server = StoreServer::start(directory.path(), disk);
  if (!server) return "it does not start again: " + server.error().message;
  RespClient client = (*server)->connect();
  if (client.ask({"GET", "late"}) != "$4\r\nlast\r\n") return "what was acknowledged is lost";
  client.ask({"DEL", "late"});
  return digest(client) == store.answers ? std::string() : "the second start is not like the first";
}

TEST_CASE("server/io_error: a start whose disk refuses once ends, or serves and recovers") {
  const Store store;
  std::uint64_t operations = 0;
  std::uint64_t readings = 0;
  {
    const TemporaryDirectory directory;
    test::write_files(directory.path(), store.files);
    FaultyFileSystem disk;
    const auto server = StoreServer::start(directory.path(), disk);
    REQUIRE(server);
    operations = disk.operations();
    readings = disk.readings();
  }
  CHECK(operations > 8);
  CHECK(readings > 4);
  std::uint64_t number = test::crash_step();  // of the error, for the quick suite
  for (const bool reading : {false, true}) {
    for (std::uint64_t at = 1; at <= (reading ? readings : operations); ++at) {
      for (const int error : kErrors) {
        if (++number % test::crash_step() != 0) continue;
        FaultyFileSystem disk;
        if (reading) {
          disk.fail_reading_with(at, error);
        } else {
          disk.fail_with(at, error, at % 50);
        }
        CAPTURE(reading);
        CAPTURE(at);
        CAPTURE(error);
        CHECK(start_with_error(store, disk, number) == "");
      }
    }
  }
}

TEST_CASE("server/io_error: on a disk without a byte it starts, serves reads and waits for room") {
  const Store store;
  const TemporaryDirectory directory;
  test::write_files(directory.path(), store.files);
  FaultyFileSystem disk;
  disk.set_space(0);
  const auto server = StoreServer::start(directory.path(), disk);
  REQUIRE_MESSAGE(server, (server ? "" : server.error().message));
  RespClient client = (*server)->connect();
  CHECK(digest(client) == store.answers);
  const std::string refused = client.ask({"SET", "late", "last"});
  CHECK(refused.starts_with("-MISCONF "));
  CHECK(refused.find("writes are accepted again when there is space") != std::string::npos);
  CHECK(client.ask({"VSAVE"}).starts_with("-ERR "));

  disk.set_space(std::nullopt);
  CHECK(insist(client, {"SET", "late", "last"}) == kOk);
  CHECK(client.ask({"VSAVE"}) == kOk);
}

TEST_CASE(
    "server/io_error: a copy that fails at any operation leaves nothing and can be repeated") {
  const TemporaryDirectory directory;
  FaultyFileSystem disk;
  const auto server = std::move(*StoreServer::start(directory.path(), disk));
  RespClient client = server->connect();
  fill(client);
  const Digest held = digest(client);
  std::uint64_t failures = 0;
  for (bool failed = true; failed; ++failures) {
    CAPTURE(failures);
    const TemporaryDirectory target;
    const int error = kErrors[failures % kErrors.size()];
    disk.fail_with(disk.operations() + 1 + failures, error, 5);
    const std::string reply = client.ask({"VSAVE", "TO", target.path()});
    failed = reply.starts_with("-ERR ");
    if (failed) {
      CHECK(reply.find(std::strerror(error)) != std::string::npos);
      CHECK(client.ask({"VSAVE", "TO", target.path()}) == kOk);
      CHECK(client.ask({"VSAVE", "TO", target.path()}).find("holds a store") != std::string::npos);
    }
    const auto copy = StoreServer::start(target.path(), posix_file_system());
    REQUIRE_MESSAGE(copy, (copy ? "" : copy.error().message));
    RespClient reader = (*copy)->connect();
    CHECK(digest(reader) == held);
  }
  CHECK(failures > 8);
  CHECK(client.ask({"VSAVE", "TO", directory.path()}).find("without TO") != std::string::npos);
  CHECK(client.ask({"VSAVE", "TO", directory.path() + "/no"}).starts_with("-ERR cannot save to "));
}

TEST_CASE("server/io_error: a copy that is taken while clients write has what they had written") {
  const TemporaryDirectory directory;
  const auto server = std::move(*StoreServer::start(directory.path(), posix_file_system()));
  RespClient client = server->connect();
  RespClient copier = server->connect();
  fill(client);
  for (int round = 0; round < 3; ++round) {
    const TemporaryDirectory target;
    std::size_t written = 0;
    std::string saved;
    std::thread thread([&] { saved = copier.ask({"VSAVE", "TO", target.path()}); });
    for (; written < 50; ++written) {
      client.ask({"SET", "text", std::to_string(written)});
      client.ask({"SET", "other", std::to_string(written)});
      client.ask({"VADD", "hnsw", "d", test::packed_vector(static_cast<int>(written))});
    }
    thread.join();
    REQUIRE(saved == kOk);
    const auto copy = StoreServer::start(target.path(), posix_file_system());
    REQUIRE_MESSAGE(copy, (copy ? "" : copy.error().message));
    RespClient reader = (*copy)->connect();
    // Some prefix of what was written: one key is at most one write ahead of the other.
    const auto number = [&](std::string_view key) {
      const std::string reply = reader.ask({"GET", key});
      return reply.starts_with("$-1") ? -1 : std::stoi(reply.substr(reply.find('\n') + 1));
    };
    if (round > 0) {
      const int ahead = (number("text") - number("other") + 50) % 50;
      CHECK((ahead == 0 || ahead == 1));
    }
    CHECK(reader.ask({"SET", "text", "on"}) == kOk);
  }
}

/// Begins a snapshot that does not get on before the disk is let go.
void hang_in_snapshot(RespClient& client, FaultyFileSystem& disk) {
  disk.hold_syncs();
  REQUIRE(client.ask({"BGSAVE"}) == "+Background saving started\r\n");
  disk.await_held_sync();
}

TEST_CASE("server/io_error: SHUTDOWN SAVE amid a snapshot waits for it, takes its own and ends") {
  const TemporaryDirectory directory;
  FaultyFileSystem disk;
  {
    const auto server = std::move(*StoreServer::start(directory.path(), disk));
    RespClient client = server->connect();
    fill(client);
    hang_in_snapshot(client, disk);
    client.send(test::request({"SHUTDOWN", "SAVE"}));
    RespClient other = server->connect();
    CHECK(other.ask({"GET", "text"}) == "$3\r\none\r\n");
    disk.release_syncs();
    CHECK(client.rest() == "");
  }
  const auto again = std::move(*StoreServer::start(directory.path(), disk));
  RespClient client = again->connect();
  CHECK(client.ask({"INFO", "persistence"}).find("journal_replayed_frames:0\r\n") !=
        std::string::npos);
  CHECK(client.ask({"GET", "text"}) == "$3\r\none\r\n");
}

TEST_CASE("server/io_error: all who wait for the next snapshot are answered when it fails") {
  const TemporaryDirectory directory;
  FaultyFileSystem disk;
  const auto server = std::move(*StoreServer::start(directory.path(), disk));
  RespClient client = server->connect();
  fill(client);
  hang_in_snapshot(client, disk);
  std::vector<RespClient> waiting;
  for (int i = 0; i < 3; ++i) {
    waiting.push_back(server->connect());
    waiting.back().send(test::request({"SHUTDOWN", "SAVE"}));
  }
  CHECK(client.ask({"GET", "text"}) == "$3\r\none\r\n");
  disk.set_space(0);
  disk.release_syncs();
  for (RespClient& waits : waiting) {
    CHECK(waits.reply() == "-ERR Errors trying to SHUTDOWN. Check logs.\r\n");
  }
  disk.set_space(std::nullopt);
  waiting.front().send(test::request({"SHUTDOWN", "SAVE"}));
  CHECK(waiting.front().rest() == "");
}

TEST_CASE("server/io_error: an end that is asked for amid a snapshot does not wait for it") {
  const TemporaryDirectory directory;
  FaultyFileSystem disk;
  Digest held;
  {
    auto server = std::move(*StoreServer::start(directory.path(), disk));
    RespClient client = server->connect();
    fill(client);
    held = digest(client);
    hang_in_snapshot(client, disk);
    std::thread ending([&] { server.reset(); });
    disk.release_syncs();
    ending.join();
  }
  const auto again = std::move(*StoreServer::start(directory.path(), disk));
  RespClient client = again->connect();
  CHECK(digest(client) == held);
}

TEST_CASE(
    "server/io_error: SHUTDOWN SAVE ends a server whose journal has failed, and loses nothing") {
  const TemporaryDirectory directory;
  FaultyFileSystem disk;
  Digest held;
  {
    const auto server = std::move(*StoreServer::start(directory.path(), disk));
    RespClient client = server->connect();
    fill(client);
    disk.fail_syncs(true);
    CHECK(client.ask({"SET", "other", "unsynced"}).starts_with("-MISCONF "));
    disk.fail_syncs(false);
    CHECK(client.ask({"SHUTDOWN"}).starts_with("-ERR Errors trying to SHUTDOWN"));
    held = digest(client);
    client.send(test::request({"SHUTDOWN", "SAVE"}));
    CHECK(client.rest() == "");
  }
  disk.lose_unsynced(3);
  const auto again = std::move(*StoreServer::start(directory.path(), disk));
  RespClient client = again->connect();
  CHECK(digest(client) == held);
}

}  // namespace
}  // namespace engram::io_error_test
