// SPDX-License-Identifier: Apache-2.0
#include "server/durability/snapshot_file.h"

#include <doctest/doctest.h>

#include <atomic>
#include <cstring>
#include <filesystem>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "core/reserved_memory.h"
#include "server/durability/little_endian.h"
#include "tests/durability/store_fixture.h"
#include "tests/support/seed.h"
#include "tests/support/step.h"

namespace engram::test::snapshot_file_test {
namespace {

using Section = std::pair<SectionOwner, std::string>;
using Sections = std::map<Section, std::string>;

/// Writes a snapshot; the pieces in which a section is appended are small and large.
Result<std::uint64_t> write(const StoreFiles& files, const Sections& sections, Lsn replay_from,
                            std::size_t piece = 700) {
  auto writer = SnapshotWriter::create(files);
  if (!writer) return tl::unexpected(writer.error());
  for (const auto& [section, content] : sections) {
    (*writer)->set_owner(section.first);
    ENGRAM_TRY((*writer)->begin(section.second));
    for (std::size_t at = 0; at < content.size(); at += piece) {
      ENGRAM_TRY((*writer)->append(as_span(std::string_view(content).substr(at, piece))));
    }
  }
  return (*writer)->publish(replay_from, 1234);
}

Result<Sections> read(const StoreFiles& files, StoreId id = some_id()) {
  const auto snapshot = SnapshotFile::open(files, id);
  if (!snapshot) return tl::unexpected(snapshot.error());
  const std::atomic<bool> never = false;
  Sections sections;
  for (const SnapshotEntry& entry : (*snapshot)->entries()) {
    ENGRAM_TRY((*snapshot)->verify(entry, never));
    const auto reader = (*snapshot)->sections_of(entry.owner);
    const auto section = reader->section(entry.name);
    if (!section) return tl::unexpected(section.error());
    CHECK(*reader->size(entry.name) == section->size());
    sections[{entry.owner, entry.name}] = as_text(*section);
  }
  return sections;
}

Sections some_sections(std::uint64_t stream = 20) {
  auto rng = make_rng(stream);
  Sections sections;
  for (const SectionOwner owner : {0U, 1U, 7U}) {
    for (const std::size_t size : {0U, 1U, 100U, 4095U, 4096U, 4097U, 9000U}) {
      std::string content(size, '\0');
      for (char& c : content) c = static_cast<char>(rng());
      sections[{owner, "section." + std::to_string(size)}] = std::move(content);
    }
  }
  return sections;
}

/// What tests need of a store's directory.
struct Store {
  Store() { lock(); }
  void lock() {
    files.reset();
    files = std::move(*StoreFiles::open(disk, directory.path()));
    files->set_id(some_id());
  }
  TemporaryDirectory directory;
  FaultyFileSystem disk;
  std::unique_ptr<StoreFiles> files;
};

TEST_CASE("durability/snapshot: what was written is read back, in pieces of any size") {
  for (const std::size_t piece : {1U, 700U, 300'000U}) {
    Store store;
    Sections sections = some_sections();
    sections[{3, "large"}] = std::string(1'000'000, 'x');
    const auto bytes = write(*store.files, sections, 42, piece);
    REQUIRE(bytes);
    CHECK(*bytes == std::filesystem::file_size(store.files->snapshot_path()));
    CHECK_FALSE(std::filesystem::exists(store.files->unfinished_snapshot_path()));
    CHECK(*read(*store.files) == sections);

    StoreId unknown = {};
    const auto snapshot = SnapshotFile::open(*store.files, unknown);
    REQUIRE(snapshot);
    CHECK(unknown == some_id());
    CHECK((*snapshot)->replay_from() == 42);
    CHECK((*snapshot)->begun_ms() == 1234);
    CHECK((*snapshot)->bytes() == *bytes);
  }
}

TEST_CASE("durability/snapshot: an empty one, and none at all") {
  Store store;
  StoreId id = some_id();
  const auto none = SnapshotFile::open(*store.files, id);
  REQUIRE_FALSE(none);
  CHECK(none.error().code == ErrorCode::kNotFound);
  REQUIRE(write(*store.files, {}, 1));
  CHECK(read(*store.files)->empty());
}

TEST_CASE("durability/snapshot: sections belong to their owner, and only those there are exist") {
  Store store;
  REQUIRE(write(*store.files, {{{1, "a"}, "one"}, {{2, "a"}, "two"}}, 1));
  StoreId id = some_id();
  const auto snapshot = std::move(*SnapshotFile::open(*store.files, id));
  CHECK(as_text(*snapshot->sections_of(2)->section("a")) == "two");
  const auto reader = snapshot->sections_of(3);
  CHECK(reader->section("a").error().code == ErrorCode::kDataLoss);
  CHECK(reader->size("a").error().code == ErrorCode::kDataLoss);
  CHECK(reader->place("a", nullptr).error().code == ErrorCode::kDataLoss);
}

TEST_CASE(
    "durability/snapshot: a placed section is private, zero behind its end, and outlives the "
    "file") {
  Store store;
  const std::string content(5000, 'x');
  REQUIRE(write(*store.files, {{{1, "rows"}, content}}, 1));
  auto memory = std::move(*MappedMemory::map(3 * kPageBytes, MappedMemory::Access::kReadWrite));
  std::memset(memory.data(), 'z', memory.size());
  {
    StoreId id = some_id();
    const auto snapshot = std::move(*SnapshotFile::open(*store.files, id));
    REQUIRE(snapshot->sections_of(1)->place("rows", memory.data()));
    memory.data()[0] = std::byte{'y'};
    CHECK(as_text(*snapshot->sections_of(1)->section("rows")) == content);
  }
  const std::string_view placed = as_text({memory.data(), memory.size()});
  CHECK(placed.substr(0, content.size()) == "y" + content.substr(1));
  CHECK(placed.substr(content.size(), 2 * kPageBytes - content.size()).find_first_not_of('\0') ==
        placed.npos);
  CHECK(placed.substr(2 * kPageBytes) == std::string(kPageBytes, 'z'));
  CHECK(read(*store.files)->begin()->second == content);
}

TEST_CASE("durability/snapshot: names that cannot be stored are refused") {
  Store store;
  const auto writer = std::move(*SnapshotWriter::create(*store.files));
  CHECK_FALSE(writer->append(as_span("no section")));
  CHECK_FALSE(writer->begin(""));
  CHECK_FALSE(writer->begin(std::string(33, 'n')));
  CHECK(writer->begin(std::string(32, 'n')));
  CHECK_FALSE(writer->begin(std::string(32, 'n')));
  writer->set_owner(1);
  CHECK(writer->begin(std::string(32, 'n')));
}

TEST_CASE(
    "durability/snapshot: one that is not published leaves nothing, and the old one in place") {
  Store store;
  const Sections old = some_sections();
  REQUIRE(write(*store.files, old, 1));
  {
    const auto writer = std::move(*SnapshotWriter::create(*store.files));
    REQUIRE(writer->begin("new"));
    CHECK(std::filesystem::exists(store.files->unfinished_snapshot_path()));
  }
  CHECK_FALSE(std::filesystem::exists(store.files->unfinished_snapshot_path()));
  CHECK(*read(*store.files) == old);

  store.disk.set_space(6000);
  const auto full = write(*store.files, some_sections(21), 2);
  REQUIRE_FALSE(full);
  CHECK(full.error().code == ErrorCode::kNoSpace);
  CHECK_FALSE(std::filesystem::exists(store.files->unfinished_snapshot_path()));
  CHECK(*read(*store.files) == old);
}

TEST_CASE("durability/snapshot: no flipped bit passes") {
  Store store;
  REQUIRE(write(*store.files, {{{0, "counters"}, "12345678"}, {{1, "keys"}, "key"}}, 3));
  const std::string path = store.files->snapshot_path();
  const std::string good = read_file(path);
  auto rng = make_rng(22);
  for (std::size_t byte = rng() % crash_step(); byte < good.size(); byte += crash_step()) {
    CAPTURE(byte);
    std::string bad = good;
    bad[byte] = static_cast<char>(bad[byte] ^ (1 << (rng() % 8)));
    write_file(path, bad);
    const auto found = read(*store.files);
    REQUIRE_FALSE(found);
    CHECK((found.error().code == ErrorCode::kDataLoss ||
           found.error().code == ErrorCode::kUnsupported));
    CHECK(found.error().message.find(path) != std::string::npos);
  }
}

TEST_CASE("durability/snapshot: a file of any other length is refused") {
  Store store;
  REQUIRE(write(*store.files, {{{0, "counters"}, "12345678"}}, 3));
  const std::string path = store.files->snapshot_path();
  const std::string good = read_file(path);
  for (std::size_t length = 0; length < good.size(); length += length < 200 ? 1 : 61) {
    write_file(path, std::string_view(good).substr(0, length));
    REQUIRE_FALSE(read(*store.files));
  }
  write_file(path, good + "x");
  CHECK_FALSE(read(*store.files));
  write_file(path, good + std::string(4096, '\0'));
  CHECK_FALSE(read(*store.files));
}

TEST_CASE("durability/snapshot: another store's is refused") {
  Store store;
  REQUIRE(write(*store.files, {}, 1));
  const auto refused = read(*store.files, some_id(99));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kUnsupported);
}

TEST_CASE("durability/snapshot: a crash at any operation leaves the old one or the new one whole") {
  const std::uint64_t seed = make_rng(23)();
  const Sections old = some_sections(24);
  const Sections fresh = some_sections(25);
  for (const bool power : {false, true}) {
    bool published = false;
    for (std::uint64_t at = 1; !published; ++at) {
      for (std::uint64_t i = 0; i < 10; ++i) {
        CAPTURE(power);
        CAPTURE(at);
        CAPTURE(seed + at * 10 + i);
        Store store;
        REQUIRE(write(*store.files, old, 1, 3000));
        store.disk.stop_at(store.disk.operations() + at, seed + at * 10 + i);
        published = write(*store.files, fresh, 2, 3000).has_value();
        if (power) {
          store.disk.lose_unsynced(seed + at * 10 + i);
        } else {
          store.disk.restart();
        }
        store.lock();
        CHECK_FALSE(std::filesystem::exists(store.files->unfinished_snapshot_path()));
        const auto left = read(*store.files);
        REQUIRE(left);
        CHECK((*left == fresh || (!published && *left == old)));
      }
    }
  }
}

}  // namespace
}  // namespace engram::test::snapshot_file_test
