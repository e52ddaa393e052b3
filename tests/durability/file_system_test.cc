// SPDX-License-Identifier: Apache-2.0
#include "server/durability/file_system.h"

#include <doctest/doctest.h>
#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "server/durability/little_endian.h"
#include "server/durability/store_files.h"
#include "tests/durability/store_fixture.h"

namespace engram::test::file_system_test {
namespace {

FileSystem& disk = posix_file_system();

std::string content_of(const std::string& path) {
  const auto file = std::move(*disk.open_for_reading(path));
  const auto content = std::move(*FileContent::read(*file));
  return std::string(as_text(content.bytes()));
}

TEST_CASE("durability/file_system: bytes are appended, cut off and read") {
  const TemporaryDirectory directory;
  const std::string path = directory.path() + "/file";
  {
    const auto file = std::move(*disk.create(path));
    REQUIRE(file->append(as_span("hello ")));
    REQUIRE(file->append(as_span("world")));
    CHECK(file->size() == 11);
    REQUIRE(file->truncate(5));
    REQUIRE(file->append(as_span("!")));
    REQUIRE(file->sync());
  }
  CHECK(content_of(path) == "hello!");
  const auto again = std::move(*disk.open_for_append(path));
  CHECK(again->size() == 6);
  REQUIRE(again->append(as_span("?")));
  CHECK(read_file(path) == "hello!?");
  CHECK((*disk.create(path))->size() == 0);
  CHECK(content_of(path).empty());
}

TEST_CASE("durability/file_system: a mapped file stays as it was when another takes its name") {
  const TemporaryDirectory directory;
  const std::string old_path = directory.path() + "/old";
  const std::string new_path = directory.path() + "/new";
  write_file(old_path, "old");
  write_file(new_path, "new");
  const auto old = std::move(*disk.open_for_reading(old_path));
  REQUIRE(disk.rename(new_path, old_path));
  REQUIRE(disk.sync_directory(directory.path()));
  CHECK(as_text(FileContent::read(*old)->bytes()) == "old");
  CHECK(read_file(old_path) == "new");
  REQUIRE(disk.remove(old_path));
  REQUIRE(disk.remove(old_path));
  CHECK(disk.list(directory.path())->empty());
}

TEST_CASE("durability/file_system: a file that became shorter while it was open is an error") {
  const TemporaryDirectory directory;
  const std::string path = directory.path() + "/file";
  write_file(path, std::string(10'000, 'x'));
  const auto file = std::move(*disk.open_for_reading(path));
  std::filesystem::resize_file(path, 5'000);
  std::string bytes(1'000, '\0');
  const std::span<std::byte> room = std::as_writable_bytes(std::span(bytes));
  CHECK(file->read(4'000, room).has_value());
  const Status beyond = file->read(4'500, room);
  REQUIRE_FALSE(beyond);
  CHECK(beyond.error().code == ErrorCode::kIo);
  CHECK(beyond.error().message == "cannot read " + path + ": it ends before byte 5500");
  CHECK_FALSE(FileContent::read(*file));
}

TEST_CASE("durability/file_system: regular files are listed, in order") {
  const TemporaryDirectory directory;
  for (const char* const name : {"b", "c", "a"}) write_file(directory.path() + "/" + name, "");
  std::filesystem::create_directory(directory.path() + "/folder");
  std::filesystem::create_symlink("a", directory.path() + "/link");
  CHECK(*disk.list(directory.path()) == std::vector<std::string>{"a", "b", "c"});
}

TEST_CASE("durability/file_system: errors carry the file and the system's reason") {
  const TemporaryDirectory directory;
  const std::string path = directory.path() + "/no/file";
  const auto reading = disk.open_for_reading(path);
  REQUIRE_FALSE(reading);
  CHECK(reading.error().code == ErrorCode::kNotFound);
  CHECK(reading.error().message == "cannot open " + path + ": No such file or directory");
  CHECK_FALSE(disk.create(path));
  CHECK_FALSE(disk.open_for_append(path));
  CHECK_FALSE(disk.rename(path, path));
  CHECK_FALSE(disk.list(directory.path() + "/no"));
  CHECK_FALSE(disk.sync_directory(directory.path() + "/no"));
  CHECK_FALSE(disk.lock(path));
}

TEST_CASE("durability/file_system: a full disk is told from other failures") {
  if (!std::filesystem::exists("/dev/full")) return;
  const auto full = std::move(*disk.open_for_append("/dev/full"));
  const Status appended = full->append(as_span("x"));
  REQUIRE_FALSE(appended);
  CHECK(appended.error().code == ErrorCode::kNoSpace);
  CHECK(appended.error().message == "cannot write /dev/full: No space left on device");
}

TEST_CASE("durability/file_system: a directory is locked once, and free again afterwards") {
  const TemporaryDirectory directory;
  auto first = StoreFiles::open(disk, directory.path() + "/");
  REQUIRE(first);
  CHECK((*first)->directory() == directory.path());
  const auto second = StoreFiles::open(disk, directory.path());
  REQUIRE_FALSE(second);
  CHECK(second.error().code == ErrorCode::kAlreadyExists);
  CHECK(second.error().message.find("pid " + std::to_string(::getpid())) != std::string::npos);
  first->reset();
  CHECK(StoreFiles::open(disk, directory.path()));
}

TEST_CASE("durability/store_files: what an unfinished snapshot left is removed by who opens") {
  const TemporaryDirectory directory;
  const std::string path = directory.path() + "/snapshot.tmp";
  write_file(path, "half");
  CHECK(StoreFiles::inspect(disk, directory.path()));
  CHECK(std::filesystem::exists(path));
  CHECK(StoreFiles::open(disk, directory.path()));
  CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("support/faulty_file_system: power leaves what was synced, and nothing else for sure") {
  bool lost = false;
  bool kept = false;
  bool holed = false;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const TemporaryDirectory directory;
    FaultyFileSystem faulty;
    const std::string path = directory.path() + "/file";
    const auto file = std::move(*faulty.create(path));
    REQUIRE(file->append(as_span("synced")));
    REQUIRE(file->sync());
    REQUIRE(faulty.sync_directory(directory.path()));
    REQUIRE(file->append(as_span(std::string(2000, 'x'))));
    REQUIRE(faulty.rename(path, directory.path() + "/renamed"));
    faulty.lose_unsynced(seed);
    const auto names = *disk.list(directory.path());
    for (const std::string& name : names) {
      const std::string left = read_file(directory.path() + "/" + name);
      REQUIRE(left.starts_with("synced"));
      lost |= left == "synced";
      kept |= left.size() == 2006;
      holed |= left.find('\0') != left.npos && left.ends_with('x');
    }
  }
  CHECK(lost);
  CHECK(kept);
  CHECK(holed);
}

TEST_CASE("support/faulty_file_system: what was removed or cut may come back") {
  bool removed_back = false;
  bool cut_back = false;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const TemporaryDirectory directory;
    FaultyFileSystem faulty;
    write_file(directory.path() + "/a", "removed");
    write_file(directory.path() + "/b", "cut off");
    REQUIRE(faulty.remove(directory.path() + "/a"));
    REQUIRE((*faulty.open_for_append(directory.path() + "/b"))->truncate(3));
    faulty.lose_unsynced(seed);
    removed_back |= read_file(directory.path() + "/a") == "removed";
    cut_back |= read_file(directory.path() + "/b") == "cut off";
    CHECK(read_file(directory.path() + "/b").starts_with("cut"));
  }
  CHECK(removed_back);
  CHECK(cut_back);
}

TEST_CASE("support/faulty_file_system: a flipped bit is reported as success") {
  const TemporaryDirectory directory;
  FaultyFileSystem faulty;
  const auto file = std::move(*faulty.create(directory.path() + "/file"));
  faulty.flip_bit_at(faulty.operations() + 1, 8);
  REQUIRE(file->append(as_span("abc")));
  CHECK(read_file(directory.path() + "/file") == "acc");
}

}  // namespace
}  // namespace engram::test::file_system_test
