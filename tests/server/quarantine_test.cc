// SPDX-License-Identifier: Apache-2.0
// One collection that cannot be restored: it says so by its name and can be dropped, and all else
// is served.
#include <doctest/doctest.h>

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/durability/check.h"
#include "server/durability/journal.h"
#include "server/durability/packed_collections.h"
#include "server/durability/snapshot_format.h"
#include "server/durability/store_sections.h"
#include "server/runtime/process.h"
#include "tests/server/store_server.h"
#include "tests/support/files.h"
#include "tests/support/snapshot_text.h"
#include "tests/support/temporary_directory.h"

namespace engram::quarantine_test {
namespace {

using test::Command;
using test::Digest;
using test::Files;
using test::packed_vector;
using test::request;
using test::RespClient;
using test::StoreServer;

constexpr std::uint64_t kBadId = 2;  // the collection that is made second
constexpr int kItems = 20;
constexpr int kLaterItems = 3;  // in the journal only

std::string key(int number) {
  return "k" + std::to_string(number);
}

/// Questions that are not about "bad".
Digest ask_good(RespClient& client) {
  Digest answers = {client.ask({"GET", "text"}), client.ask({"DBSIZE"}),
                    client.ask({"VSEARCH", "good", packed_vector(3), "30"})};
  for (int i = 0; i < kItems; ++i) answers.push_back(client.ask({"VGET", "good", key(i)}));
  return answers;
}

/// Two collections and a string in a snapshot, and some more of each in the journal.
struct TwoCollections {
  Files files;
  Digest good;

  explicit TwoCollections(std::string_view primitive) {
    const test::TemporaryDirectory directory;
    {
      const auto server = std::move(*StoreServer::start(directory.path(), posix_file_system()));
      RespClient client = server->connect();
      const auto put = [&](int number) {
        for (const std::string_view index : {"good", "bad"}) {
          const std::string vector = packed_vector(number);
          REQUIRE(client.ask({"VADD", index, key(number), vector}) == ":1\r\n");
        }
      };
      for (const std::string_view index : {"good", "bad"}) {
        REQUIRE(client.ask({"VNEW", index, "4", "METRIC", "l2", "PRIMITIVE", primitive}) ==
                "+OK\r\n");
      }
      for (int i = 0; i < kItems; ++i) put(i);
      if (primitive == "mean.saved") REQUIRE(test::is_success(client.ask({"VTUNE", "bad"})));
      REQUIRE(client.ask({"VSAVE"}) == "+OK\r\n");
      test::await_one_generation(directory.path());
      for (int i = kItems; i < kItems + kLaterItems; ++i) put(i);
      REQUIRE(client.ask({"SET", "text", "value"}) == "+OK\r\n");
      good = ask_good(client);
    }
    files = test::read_files(directory.path());
  }

  [[nodiscard]] const std::string& snapshot() const { return files.at(std::string(kSnapshotName)); }

  /// Those that have bytes.
  [[nodiscard]] std::vector<SnapshotEntry> entries_of(std::uint64_t owner) const {
    SnapshotSummary summary = test::parts_of(snapshot()).summary;
    std::erase_if(summary.entries,
                  [&](const SnapshotEntry& it) { return it.owner != owner || it.length == 0; });
    return summary.entries;
  }

  [[nodiscard]] Files with_snapshot(std::string snapshot) const {
    Files changed = files;
    changed[std::string(kSnapshotName)] = std::move(snapshot);
    return changed;
  }
};

/// The snapshot with another content of one section, and checksums that are right.
std::string edited(std::string snapshot, std::uint64_t owner, std::string_view name,
                   const std::function<void(SnapshotEntry&, std::string& content)>& edit) {
  test::SnapshotParts parts = test::parts_of(snapshot);
  bool found = false;
  for (SnapshotEntry& entry : parts.summary.entries) {
    if (entry.owner != owner || entry.name != name) continue;
    const std::size_t room = padded(entry.length);
    std::string content = snapshot.substr(entry.offset, entry.length);
    edit(entry, content);
    REQUIRE(padded(entry.length) == room);
    content.resize(room, '\0');
    BlockChecksums checksums;
    checksums.add(std::as_bytes(std::span(content)));
    entry.checksums = checksums.take();
    snapshot.replace(entry.offset, room, content);
    found = true;
  }
  REQUIRE(found);
  return test::with_parts(snapshot, parts);
}

/// A server over files that are kept from life to life.
class Life {
 public:
  explicit Life(const test::TemporaryDirectory& directory)
      : server_(std::move(*StoreServer::start(directory.path(), posix_file_system()))),
        client(server_->connect()) {
    while (info().find("snapshot_verification:running") != std::string::npos) {
    }
  }

  std::string info() { return client.ask({"INFO", "persistence"}); }

 private:
  std::unique_ptr<StoreServer> server_;

 public:
  RespClient client;
};

bool is_error_by_name(std::string_view reply) {
  return reply.starts_with("-ERR index 'bad'") && reply.find("snapshot") != reply.npos;
}

/// Everybody sees the name, and those who look inside learn why they cannot.
void check_is_quarantined(Life& life) {
  RespClient& client = life.client;
  const std::string vector = packed_vector(3);
  for (const Command& command :
       {request({"VGET", "bad", "k1"}), request({"VSEARCH", "bad", vector, "3"}),
        request({"VADD", "bad", "k1", vector}), request({"VDEL", "bad", "k1"}),
        request({"VINFO", "bad"}), request({"VDIAG", "bad"}), request({"VTUNE", "bad"}),
        request({"VSAVE"})}) {
    client.send(command);
    const std::string reply = client.reply();
    CAPTURE(command);
    CAPTURE(reply);
    CHECK(is_error_by_name(reply));
  }
  CHECK(client.ask({"EXISTS", "bad"}) == ":1\r\n");
  CHECK(client.ask({"TYPE", "bad"}) == "+vectorset\r\n");
  CHECK(client.ask({"VLIST"}) == "*2\r\n$3\r\nbad\r\n$4\r\ngood\r\n");
  CHECK(life.info().find("\r\ndamaged_indexes:bad\r\n") != std::string::npos);
}

/// Over `files`, "bad" is in quarantine until it is dropped, and nothing else suffers.
void check_costs_itself_alone(const TwoCollections& store, const Files& files) {
  const test::TemporaryDirectory directory;
  test::write_files(directory.path(), files);
  const std::string snapshot_name(kSnapshotName);
  for (int life = 0; life < 2; ++life) {
    Life quarantined(directory);
    check_is_quarantined(quarantined);
    CHECK(ask_good(quarantined.client) == store.good);
    REQUIRE(quarantined.client.ask({"SET", "text", "value"}) == "+OK\r\n");
  }
  CHECK(test::read_files(directory.path())[snapshot_name] == files.at(snapshot_name));
  {
    Life dropping(directory);
    REQUIRE(dropping.client.ask({"VDROP", "bad"}) == "+OK\r\n");
    CHECK(dropping.info().find("damaged_indexes") == std::string::npos);
    REQUIRE(dropping.client.ask({"VSAVE"}) == "+OK\r\n");
  }
  Life clean(directory);
  CHECK(clean.info().find("snapshot_verification:verified") != std::string::npos);
  CHECK(clean.info().find("damaged_indexes") == std::string::npos);
  CHECK(clean.client.ask({"VLIST"}) == "*1\r\n$4\r\ngood\r\n");
  Digest good = ask_good(clean.client);
  good[1] = store.good[1];  // DBSIZE
  CHECK(good == store.good);
}

TEST_CASE("server/quarantine: a byte of any section of a collection costs that collection alone") {
  for (const std::string_view primitive : {"flat", "hnsw", "mean.saved"}) {
    const TwoCollections store(primitive);
    const auto entries = store.entries_of(kBadId);
    REQUIRE(entries.size() >= 3);
    for (const SnapshotEntry& entry : entries) {
      CAPTURE(primitive);
      CAPTURE(entry.name);
      std::string snapshot = store.snapshot();
      snapshot[entry.offset + entry.length / 2] ^= 1;
      check_costs_itself_alone(store, store.with_snapshot(snapshot));
    }
  }
}

TEST_CASE("server/quarantine: a section that ends too early costs its collection alone") {
  const TwoCollections store("hnsw");
  for (const SnapshotEntry& entry : store.entries_of(kBadId)) {
    CAPTURE(entry.name);
    const auto shorten = [](SnapshotEntry& of, std::string& content) {
      content.resize(--of.length);
    };
    check_costs_itself_alone(
        store, store.with_snapshot(edited(store.snapshot(), kBadId, entry.name, shorten)));
  }
}

TEST_CASE("server/quarantine: a repair takes the damaged collection out, and says what is lost") {
  const TwoCollections store("hnsw");
  for (const SnapshotEntry& entry : store.entries_of(kBadId)) {
    CAPTURE(entry.name);
    std::string snapshot = store.snapshot();
    snapshot[entry.offset + entry.length / 2] ^= 1;
    const test::TemporaryDirectory directory;
    test::write_files(directory.path(), store.with_snapshot(snapshot));
    const auto report = check_store(posix_file_system(), directory.path(), true);
    REQUIRE(report.has_value());
    CHECK_FALSE(report->damaged);
    const std::string loss = entry.name == "keys" ? "an unknown number of vectors" : "20 vectors";
    CHECK(report->lines.back().starts_with("lost is index 'bad' with " + loss));
    Life life(directory);
    CHECK(life.client.ask({"VLIST"}) == "*1\r\n$4\r\ngood\r\n");
    Digest good = ask_good(life.client);
    good[1] = store.good[1];  // DBSIZE
    CHECK(good == store.good);
    CHECK(life.client.ask({"VSAVE"}) == "+OK\r\n");
  }
}

constexpr int kIndexes = 300;  // enough to share sections

/// A store of small collections of one vector each; that of the 78th is `marked`.
Files small_collections(const std::string& marked) {
  const test::TemporaryDirectory directory;
  {
    const auto server = std::move(*StoreServer::start(directory.path(), posix_file_system()));
    RespClient client = server->connect();
    for (int i = 0; i < kIndexes; ++i) {
      REQUIRE(client.ask({"VNEW", key(i), "4", "METRIC", "l2", "PRIMITIVE", "flat"}) == "+OK\r\n");
      const std::string vector = i == 77 ? marked : packed_vector(i);
      REQUIRE(client.ask({"VADD", key(i), "item", vector}) == ":1\r\n");
    }
    REQUIRE(client.ask({"VSAVE"}) == "+OK\r\n");
    test::await_one_generation(directory.path());
  }
  return test::read_files(directory.path());
}

TEST_CASE("server/quarantine: damage behind what small collections share is told and costs none") {
  const std::string marked = packed_vector(777);
  Files files = small_collections(marked);
  std::string& snapshot = files.at(std::string(kSnapshotName));
  for (const SnapshotEntry& entry : test::parts_of(snapshot).summary.entries) {
    if (entry.owner != kPackOwner) continue;
    REQUIRE(padded(entry.length) > entry.length);
    snapshot[entry.offset + entry.length] ^= 1;
  }
  const test::TemporaryDirectory directory;
  test::write_files(directory.path(), files);
  Life life(directory);
  REQUIRE(test::await_info(life.client, "persistence", "snapshot_verification:failed"));
  CHECK(life.client.ask({"INFO", "persistence"}).find("damaged_indexes") == std::string::npos);
  CHECK(life.client.ask({"VGET", "k77", "item"}).find(marked) != std::string::npos);
  CHECK(life.client.ask({"VSAVE"}) == "+OK\r\n");
  CHECK(test::await_info(life.client, "persistence", "snapshot_verification:verified"));
}

TEST_CASE("server/quarantine: a repair takes one of many small collections out") {
  const std::string marked = packed_vector(777);
  Files files = small_collections(marked);
  std::string& snapshot = files.at(std::string(kSnapshotName));
  const std::size_t place = snapshot.find(marked);
  REQUIRE(place != snapshot.npos);
  snapshot[place] ^= 1;
  const test::TemporaryDirectory directory;
  test::write_files(directory.path(), files);
  const auto report = check_store(posix_file_system(), directory.path(), true);
  REQUIRE(report.has_value());
  CHECK_FALSE(report->damaged);
  CHECK(report->lines.back().starts_with("lost is index 'k77' with "));
  Life life(directory);
  CHECK(life.client.ask({"DBSIZE"}) == ":" + std::to_string(kIndexes - 1) + "\r\n");
  CHECK(life.client.ask({"EXISTS", "k77"}) == ":0\r\n");
  CHECK(test::is_success(life.client.ask({"VGET", "k78", "item"})));
  REQUIRE(life.client.ask({"VNEW", "new", "4", "PRIMITIVE", "flat"}) == "+OK\r\n");
  CHECK(life.client.ask({"VSAVE"}) == "+OK\r\n");
}

TEST_CASE("server/quarantine: a server starts after any section was repaired") {
  const TwoCollections store("flat");
  for (const SnapshotEntry& entry : store.entries_of(kStoreOwner)) {
    CAPTURE(entry.name);
    std::string snapshot = store.snapshot();
    snapshot[entry.offset] ^= 1;
    const test::TemporaryDirectory directory;
    test::write_files(directory.path(), store.with_snapshot(snapshot));
    const auto report = check_store(posix_file_system(), directory.path(), true);
    REQUIRE(report.has_value());
    CHECK_FALSE(report->damaged);
    Life life(directory);
    CHECK(life.client.ask({"GET", "text"}) == "$5\r\nvalue\r\n");  // of the journal
    CHECK(life.client.ask({"EXISTS", "good"}) ==
          (entry.name == "collections" ? ":0\r\n" : ":1\r\n"));
  }
}

/// Changes the first `from` of the second collection in the list.
std::string with_bad_creation(const std::string& snapshot, std::string_view from,
                              std::string_view to) {
  REQUIRE(from.size() == to.size());
  return edited(snapshot, kStoreOwner, kCollectionsSection,
                [&](SnapshotEntry&, std::string& content) {
                  const std::size_t bad = content.find("bad");
                  const std::size_t other = content.find("good");
                  std::size_t place = content.find(from, bad);
                  if (bad < other) REQUIRE(place < other);
                  REQUIRE(place != content.npos);
                  content.replace(place, from.size(), to);
                });
}

TEST_CASE("server/quarantine: a primitive, metric or option that this build does not know") {
  const TwoCollections store("hnsw");
  check_costs_itself_alone(
      store, store.with_snapshot(with_bad_creation(store.snapshot(), "hnsw", "wash")));
  check_costs_itself_alone(store,
                           store.with_snapshot(with_bad_creation(store.snapshot(), "l2", "l3")));
  check_costs_itself_alone(
      store, store.with_snapshot(with_bad_creation(store.snapshot(), "EF_CONSTR", "OF_CONSTR")));
}

TEST_CASE("server/quarantine: later changes in the journal are skipped and counted") {
  const TwoCollections store("hnsw");
  std::string snapshot = store.snapshot();
  for (const SnapshotEntry& entry : store.entries_of(kBadId)) {
    if (entry.name == "keys") snapshot[entry.offset] ^= 1;
  }
  const test::TemporaryDirectory directory;
  test::write_files(directory.path(), store.with_snapshot(snapshot));
  Life life(directory);
  const std::string reply = life.client.ask({"VGET", "bad", "k1"});
  CAPTURE(reply);
  CHECK(reply.find("in section 'keys'") != reply.npos);
  CHECK(reply.ends_with("; 3 later changes in the journal were skipped\r\n"));
}

TEST_CASE("server/quarantine: a string takes the place of what is damaged") {
  const TwoCollections store("flat");
  std::string snapshot = store.snapshot();
  snapshot[store.entries_of(kBadId).front().offset] ^= 1;
  const test::TemporaryDirectory directory;
  test::write_files(directory.path(), store.with_snapshot(snapshot));
  {
    Life life(directory);
    REQUIRE(life.client.ask({"SET", "bad", "a string"}) == "+OK\r\n");
    REQUIRE(life.client.ask({"VSAVE"}) == "+OK\r\n");
  }
  Life life(directory);
  CHECK(life.client.ask({"GET", "bad"}) == "$8\r\na string\r\n");
}

TEST_CASE("server/quarantine: a collection that only the journal knows") {
  const test::TemporaryDirectory directory;
  {
    const auto files = std::move(*StoreFiles::open(posix_file_system(), directory.path()));
    files->set_id(random_id());
    const auto journal = std::move(*Journal::open(*files, 1, FsyncPolicy::kAlways, [] {}));
    journal->record(NewCollection{"bad", kNeverExpires, 1, 4, "l2", "unheard-of", {}});
    const std::string vector = packed_vector(1);
    journal->record(PutVector{1, 0, "k", vector});
    journal->record(SetString{"text", kNeverExpires, "value"});
    journal->seal();
    REQUIRE(journal->close().has_value());
  }
  {
    Life life(directory);
    const std::string reply = life.client.ask({"VGET", "bad", "k"});
    CAPTURE(reply);
    CHECK(reply.starts_with("-ERR index 'bad' cannot be restored: "));
    CHECK(reply.find("unheard-of") != reply.npos);
    CHECK(life.client.ask({"GET", "text"}) == "$5\r\nvalue\r\n");
    CHECK_FALSE(test::is_success(life.client.ask({"VSAVE"})));
    REQUIRE(life.client.ask({"FLUSHALL"}) == "+OK\r\n");
    REQUIRE(life.client.ask({"VSAVE"}) == "+OK\r\n");
  }
  Life life(directory);
  CHECK(life.client.ask({"DBSIZE"}) == ":0\r\n");
}

TEST_CASE("server/quarantine: damage of what belongs to no collection still refuses the start") {
  const TwoCollections store("flat");
  for (const SnapshotEntry& entry : store.entries_of(kStoreOwner)) {
    CAPTURE(entry.name);
    std::string snapshot = store.snapshot();
    snapshot[entry.offset] ^= 1;
    const test::TemporaryDirectory directory;
    test::write_files(directory.path(), store.with_snapshot(snapshot));
    const auto server = StoreServer::start(directory.path(), posix_file_system());
    REQUIRE_FALSE(server.has_value());
    CHECK(server.error().message.find("in section '" + entry.name + "'") != std::string::npos);
  }
}

}  // namespace
}  // namespace engram::quarantine_test
