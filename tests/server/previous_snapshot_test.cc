// SPDX-License-Identifier: Apache-2.0
// What is kept until the newest snapshot is known to be sound restores everything if it is not.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/durability/snapshot_file.h"
#include "server/durability/snapshot_format.h"
#include "server/durability/store_files.h"
#include "server/durability/store_sections.h"
#include "server/engine/snapshot_generations.h"
#include "server/engine/snapshot_verifier.h"
#include "server/runtime/loop_tasks.h"
#include "tests/server/store_server.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/files.h"
#include "tests/support/no_more_threads.h"
#include "tests/support/seed.h"
#include "tests/support/snapshot_text.h"
#include "tests/support/temporary_directory.h"

namespace engram::previous_snapshot_test {
namespace {

using test::Digest;
using test::Files;
using test::packed_vector;
using test::request;
using test::RespClient;
using test::StoreServer;

constexpr int kItems = 6000;  // of four floats: rows of two blocks

const std::string kNewest{kSnapshotName};

std::string key(int number) {
  return "k" + std::to_string(number);
}

void put(RespClient& client, std::string_view index, int begin, int end) {
  for (int i = begin; i < end; ++i) client.send(request({"VADD", index, key(i), packed_vector(i)}));
  for (int i = begin; i < end; ++i) REQUIRE(test::is_success(client.reply()));
}

Digest ask(RespClient& client) {
  Digest answers = {client.ask({"DBSIZE"}), client.ask({"GET", "text"}),
                    client.ask({"VSEARCH", "large", packed_vector(3), "20"}),
                    client.ask({"VSEARCH", "small", packed_vector(4), "20"})};
  for (int i = 0; i < kItems; i += 250) {
    for (const std::string_view index : {"large", "small"}) {
      answers.push_back(client.ask({"VGET", index, key(i)}));
    }
  }
  answers.push_back(client.ask({"VGET", "large", key(kItems - 1)}));
  return answers;
}

/// Writes between two snapshots, and after them.
Digest fill(RespClient& client) {
  REQUIRE(client.ask({"CONFIG", "SET", "keep-previous-snapshot", "yes"}) == "+OK\r\n");
  for (const std::string_view index : {"large", "small"}) {
    REQUIRE(client.ask({"VNEW", index, "4", "METRIC", "l2", "PRIMITIVE", "flat"}) == "+OK\r\n");
  }
  put(client, "large", 0, kItems / 2);
  put(client, "small", 0, 20);
  REQUIRE(client.ask({"VSAVE"}) == "+OK\r\n");
  REQUIRE(test::await_info(client, "persistence", "snapshot_verification:verified"));
  put(client, "large", kItems / 2, kItems);
  REQUIRE(client.ask({"VDEL", "small", key(3)}) == ":1\r\n");
  REQUIRE(client.ask({"SET", "text", "first"}) == "+OK\r\n");
  REQUIRE(client.ask({"VSAVE"}) == "+OK\r\n");
  put(client, "small", 20, 30);
  REQUIRE(client.ask({"SET", "text", "second"}) == "+OK\r\n");
  return ask(client);
}

struct Store {
  Store() {
    const test::TemporaryDirectory directory;
    {
      const auto server = std::move(*StoreServer::start(directory.path(), posix_file_system()));
      RespClient client = server->connect();
      answers = fill(client);
      REQUIRE(test::await_info(client, "persistence", "snapshot_verification:verified"));
    }
    files = test::read_files(directory.path());
    REQUIRE(files.contains(std::string(kPreviousSnapshotName)));
  }

  /// The rows of the large index in the newest snapshot.
  SnapshotEntry rows() const {
    auto entries = test::parts_of(files.at(kNewest)).summary.entries;
    const auto found = std::find_if(entries.begin(), entries.end(), [](const SnapshotEntry& entry) {
      return entry.name == "store.rows" && entry.length > kSnapshotBlockBytes;
    });
    REQUIRE(found != entries.end());
    return *found;
  }

  Digest answers;
  Files files;
};

const Store& store() {
  static const Store store;
  return store;
}

/// A server over files in which everything is right.
void check_is_whole(const std::string& directory) {
  const auto server = std::move(*StoreServer::start(directory, posix_file_system()));
  RespClient client = server->connect();
  CHECK(ask(client) == store().answers);
  CHECK(client.ask({"INFO", "persistence"}).find("damaged_indexes") == std::string::npos);
}

TEST_CASE("server/previous_snapshot: a start falls back from damage wherever it looks") {
  auto rng = test::make_rng(81);
  const std::string& newest = store().files.at(kNewest);
  const SnapshotEntry rows = store().rows();
  // Nobody looks at these at the start.
  const auto is_placed = [&](std::size_t at) {
    return at >= rows.offset && at < rows.offset + padded(rows.length);
  };
  for (int i = 0; i < 12; ++i) {
    Files files = store().files;
    std::string& snapshot = files[kNewest];
    if (i == 0) {
      snapshot.resize(newest.size() / 2);
    } else if (i == 1) {
      files.erase(kNewest);
    } else if (i == 2) {
      snapshot.clear();
    } else {
      std::size_t at = rng() % newest.size();
      while (is_placed(at)) at = rng() % newest.size();
      CAPTURE(at);
      snapshot[at] = static_cast<char>(snapshot[at] ^ (1 << (rng() % 8)));
    }
    CAPTURE(i);
    const test::TemporaryDirectory directory;
    test::write_files(directory.path(), files);
    check_is_whole(directory.path());
    CHECK(std::filesystem::exists(directory.path() + "/" + kNewest + ".cut") == (i != 1));
    check_is_whole(directory.path());
  }
}

TEST_CASE("server/previous_snapshot: damage found while serving is made good by the next start") {
  Files files = store().files;
  files[kNewest][store().rows().offset + 70'000] ^= 1;
  const test::TemporaryDirectory directory;
  test::write_files(directory.path(), files);
  {
    const auto server = std::move(*StoreServer::start(directory.path(), posix_file_system()));
    RespClient client = server->connect();
    REQUIRE(test::await_info(client, "persistence", "snapshot_verification:failed"));
    CHECK(client.ask({"VGET", "large", key(1)}).starts_with("-ERR index 'large'"));
    CHECK(client.ask({"GET", "text"}) == "$6\r\nsecond\r\n");
    while (std::filesystem::exists(directory.path() + "/" + kNewest)) {
    }
  }
  check_is_whole(directory.path());
}

TEST_CASE("server/previous_snapshot: a previous one that is damaged does not stand in") {
  Files files = store().files;
  files[std::string(kPreviousSnapshotName)][5000] ^= 1;
  files[kNewest][store().rows().offset + 70'000] ^= 1;
  const test::TemporaryDirectory directory;
  test::write_files(directory.path(), files);
  for (int life = 0; life < 2; ++life) {
    const auto server = std::move(*StoreServer::start(directory.path(), posix_file_system()));
    RespClient client = server->connect();
    REQUIRE(test::await_info(client, "persistence", "damaged_indexes:large"));
    CHECK(client.ask({"VGET", "small", key(0)}) == store().answers[5]);
    CHECK(client.ask({"GET", "text"}) == "$6\r\nsecond\r\n");
  }
  CHECK(std::filesystem::exists(directory.path() + "/" + kNewest));
}

/// Its checksums are right, but a server finds less in it than it needs.
TEST_CASE(
    "server/previous_snapshot: one that is begun with and cannot be restored ends the start") {
  Files files = store().files;
  std::string& previous = files[std::string(kPreviousSnapshotName)];
  test::SnapshotParts parts = test::parts_of(previous);
  for (SnapshotEntry& entry : parts.summary.entries) {
    if (entry.name == kCollectionsSection) entry.name = "others";
  }
  previous = test::with_parts(previous, parts);
  // The newest has lost one index and could be served without it.
  for (const SnapshotEntry& entry : test::parts_of(files[kNewest]).summary.entries) {
    if (entry.name == "store.rows" && entry.length <= kSnapshotBlockBytes) {
      files[kNewest][entry.offset] ^= 1;
    }
  }
  const test::TemporaryDirectory directory;
  test::write_files(directory.path(), files);
  for (int life = 0; life < 2; ++life) {
    const auto server = StoreServer::start(directory.path(), posix_file_system());
    REQUIRE_FALSE(server.has_value());
    CHECK(server.error().message.find("has no section 'collections'") != std::string::npos);
  }
}

TEST_CASE("server/previous_snapshot: by default it goes when the newest has been verified") {
  const test::TemporaryDirectory directory;
  test::write_files(directory.path(), store().files);
  {
    const auto server = std::move(*StoreServer::start(directory.path(), posix_file_system()));
    RespClient client = server->connect();
    const std::string previous(kPreviousSnapshotName);
    REQUIRE(test::await_info(client, "persistence", "snapshot_verification:verified"));
    while (std::filesystem::exists(directory.path() + "/" + previous)) {
    }
    CHECK(ask(client) == store().answers);
    REQUIRE(client.ask({"VSAVE"}) == "+OK\r\n");
    test::await_one_generation(directory.path());
    REQUIRE(client.ask({"CONFIG", "SET", "keep-previous-snapshot", "no"}) == "+OK\r\n");
    REQUIRE(client.ask({"VSAVE"}) == "+OK\r\n");
    test::await_one_generation(directory.path());
  }
  check_is_whole(directory.path());
}

/// Every operation of a snapshot in turn, the removal of the one before among them.
TEST_CASE("server/previous_snapshot: a failure sets no sound snapshot aside") {
  int saved = 0;
  for (std::uint64_t operation = 1; operation <= 20; ++operation) {
    CAPTURE(operation);
    const test::TemporaryDirectory directory;
    test::FaultyFileSystem disk;
    const auto server = std::move(*StoreServer::start(directory.path(), disk));
    RespClient client = server->connect();
    REQUIRE(client.ask({"VNEW", "i", "4", "METRIC", "l2", "PRIMITIVE", "flat"}) == "+OK\r\n");
    put(client, "i", 0, 10);
    REQUIRE(client.ask({"VSAVE"}) == "+OK\r\n");
    test::await_one_generation(directory.path());
    disk.fail_at(disk.operations() + operation, ErrorCode::kIo);
    if (client.ask({"VSAVE"}) != "+OK\r\n") continue;
    ++saved;
    CHECK(test::await_info(client, "persistence", "snapshot_verification:verified"));
    CHECK(std::filesystem::exists(directory.path() + "/" + kNewest));
    CHECK_FALSE(std::filesystem::exists(directory.path() + "/" + kNewest + ".cut"));
  }
  CHECK(saved >= 4);
}

TEST_CASE(
    "server/previous_snapshot: where files have one name the journal does not grow for ever") {
  const test::TemporaryDirectory directory;
  test::FaultyFileSystem disk;
  disk.refuse_links();
  const auto server = std::move(*StoreServer::start(directory.path(), disk));
  RespClient client = server->connect();
  fill(client);
  REQUIRE(test::await_info(client, "persistence", "snapshot_verification:verified"));
  test::await_one_generation(directory.path());
  const auto names = posix_file_system().list(directory.path());
  CHECK(std::count_if(names->begin(), names->end(), segment_lsn) == 1);
}

/// The loop of a server, turned by hand.
void turn_until(LoopTasks& loop, const bool& done) {
  while (!done) loop.run();
}

TEST_CASE("server/previous_snapshot: where no thread is to be had a snapshot is not read back") {
  const test::TemporaryDirectory directory;
  test::write_files(directory.path(), store().files);
  const auto files = std::move(*StoreFiles::open(posix_file_system(), directory.path()));
  LoopTasks loop([] {});
  bool has_ended = false;
  Status ended;
  Lsn dropped_before = 0;
  SnapshotGenerations generations(*files, loop, KeepPrevious::kUntilVerified,
                                  {.drop_journal_before = [&](Lsn lsn) { dropped_before = lsn; },
                                   .checked =
                                       [&](const Status& checked) {
                                         has_ended = true;
                                         ended = checked;
                                       }});
  {
    const test::NoMoreThreads none;
    generations.published(7, std::nullopt);
    CHECK(generations.is_busy());
    turn_until(loop, has_ended);
  }
  REQUIRE_FALSE(ended);
  CHECK(ended.error().code == ErrorCode::kResourceExhausted);
  CHECK_FALSE(generations.is_busy());
  CHECK_FALSE(generations.wants_previous());  // of what nobody has read
  CHECK(dropped_before == 0);
  has_ended = false;
  generations.published(8, std::nullopt);
  turn_until(loop, has_ended);
  CHECK(ended.has_value());
  CHECK(dropped_before == 8);
}

TEST_CASE("server/previous_snapshot: where no thread is to be had a start verifies nothing") {
  const test::TemporaryDirectory directory;
  test::write_files(directory.path(), store().files);
  const auto files = std::move(*StoreFiles::open(posix_file_system(), directory.path()));
  StoreId id = {};
  LoopTasks loop([] {});
  bool has_ended = false;
  Status ended;
  const test::NoMoreThreads none;
  const SnapshotVerifier verifier(
      std::move(*SnapshotFile::open(*files, id)), loop,
      [](SectionOwner, const std::string&) { FAIL("nothing is damaged"); },
      [&](const Status& status) {
        has_ended = true;
        ended = status;
      });
  turn_until(loop, has_ended);
  REQUIRE_FALSE(ended);
  CHECK(ended.error().code == ErrorCode::kResourceExhausted);
}

TEST_CASE(
    "server/previous_snapshot: a bit that the disk gets wrong is found when it is read back") {
  int found = 0;
  for (std::uint64_t operation = 1; operation <= 14; operation += 2) {
    const test::TemporaryDirectory directory;
    test::FaultyFileSystem disk;
    Digest answers;
    {
      const auto server = std::move(*StoreServer::start(directory.path(), disk));
      RespClient client = server->connect();
      REQUIRE(client.ask({"VNEW", "i", "4", "METRIC", "l2", "PRIMITIVE", "flat"}) == "+OK\r\n");
      put(client, "i", 0, 50);
      disk.flip_bit_at(disk.operations() + operation, 7 * operation);
      REQUIRE(client.ask({"VSAVE"}) == "+OK\r\n");
      for (std::string info = "running";
           info.find("snapshot_verification:running") != info.npos || info == "running";) {
        info = client.ask({"INFO", "persistence"});
        if (info.find("snapshot_verification:failed") != info.npos) {
          ++found;
          CHECK(info.find("rdb_last_bgsave_status:err") != info.npos);
        }
      }
      answers = {client.ask({"VGET", "i", key(1)}), client.ask({"VGET", "i", key(49)})};
    }
    CAPTURE(operation);
    const auto server = StoreServer::start(directory.path(), disk);
    if (!server) continue;  // the journal has the wrong bit: it says so
    RespClient client = (*server)->connect();
    CHECK(client.ask({"VGET", "i", key(1)}) == answers[0]);
    CHECK(client.ask({"VGET", "i", key(49)}) == answers[1]);
  }
  CHECK(found > 0);
}

}  // namespace
}  // namespace engram::previous_snapshot_test
