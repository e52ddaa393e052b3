// SPDX-License-Identifier: Apache-2.0
// Sections that are placed, in files that are not what they were: nobody reads what nobody has
// verified, and no fault of the disk ends the process.
#include "server/durability/verified_pages.h"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/reserved_memory.h"
#include "server/durability/checksum.h"
#include "server/durability/little_endian.h"
#include "server/durability/snapshot_file.h"
#include "tests/durability/store_fixture.h"
#include "tests/support/seed.h"

namespace engram::test::verified_pages_test {
namespace {

constexpr std::size_t kBlocks = 40;
constexpr std::size_t kBytes = kBlocks * kSnapshotBlockBytes - 1000;  // the last block is short
const std::atomic<bool> kNotCancelled = false;

std::string random_text(std::size_t bytes) {
  auto rng = make_rng(71);
  std::string text(bytes, '\0');
  for (char& c : text) c = static_cast<char>(rng());
  return text;
}

/// A store with a snapshot of two large sections, each of a collection of its own.
struct Store {
  Store() {
    files = std::move(*StoreFiles::open(posix_file_system(), directory.path()));
    files->set_id(some_id());
    const auto writer = std::move(*SnapshotWriter::create(*files));
    for (const SectionOwner owner : {1U, 2U}) {
      writer->set_owner(owner);
      REQUIRE(writer->begin("rows").has_value());
      REQUIRE(writer->append(as_span(content)).has_value());
    }
    REQUIRE(writer->publish(1, 0).has_value());
  }

  std::unique_ptr<SnapshotFile> open() const {
    StoreId id = some_id();
    return std::move(*SnapshotFile::open(*files, id));
  }

  /// Flips a bit of the `at`-th byte of a section.
  void damage(SectionOwner owner, std::size_t at) const {
    const std::uint64_t offset = open()->entries()[owner - 1].offset;
    std::string text = read_file(files->snapshot_path());
    text[offset + at] ^= 8;
    write_file(files->snapshot_path(), text);
  }

  const std::string content = random_text(kBytes);
  TemporaryDirectory directory;
  std::unique_ptr<StoreFiles> files;
};

/// A section in memory.
struct Placed {
  Placed(const SnapshotFile& snapshot, SectionOwner owner)
      : reader(snapshot.sections_of(owner)), soundness(snapshot.soundness_of(owner)) {
    memory = std::move(*MappedMemory::map(kBytes, MappedMemory::Access::kNone));
    REQUIRE(memory.place(*reader, "rows").has_value());
  }

  char operator[](std::size_t at) const { return static_cast<char>(memory.data()[at]); }
  std::string_view text() const { return as_text({memory.data(), kBytes}); }

  std::unique_ptr<SectionReader> reader;
  std::shared_ptr<const Soundness> soundness;
  MappedMemory memory;
};

TEST_CASE("durability/verified_pages: a damaged block is found when it is touched, not before") {
  const Store store;
  const std::size_t bad = 5 * kSnapshotBlockBytes + 77;
  store.damage(1, bad);
  const auto snapshot = store.open();
  const Placed first(*snapshot, 1);
  const Placed second(*snapshot, 2);
  for (std::size_t at = 0; at < kBytes; at += 5000) {
    if (at / kSnapshotBlockBytes == 5) continue;
    REQUIRE(first[at] == store.content[at]);
  }
  CHECK(first.soundness->holds());
  CHECK(first[bad + 900] == 0);
  CHECK_FALSE(first.soundness->holds());
  CHECK(first.soundness->reason() == store.files->snapshot_path() +
                                         " is damaged in section 'rows', " +
                                         std::to_string(kBytes) + " bytes at offset 4096");
  CHECK(first[0] == 0);
  CHECK(second.text() == store.content);
  CHECK(second.soundness->holds());
  CHECK(second.soundness->reason().empty());
}

TEST_CASE("durability/verified_pages: what is written stays, and the file as it is") {
  const Store store;
  const std::string before = read_file(store.files->snapshot_path());
  const auto snapshot = store.open();
  const Placed placed(*snapshot, 1);
  std::string expected = store.content;
  for (std::size_t at = 3; at < kBytes; at += 70'001) {
    placed.memory.data()[at] = std::byte{'w'};
    expected[at] = 'w';
  }
  REQUIRE(snapshot->verify(snapshot->entries()[0], kNotCancelled).has_value());
  CHECK(placed.text() == expected);
  CHECK(read_file(store.files->snapshot_path()) == before);
}

TEST_CASE("durability/verified_pages: a file cut short is an error of what it held") {
  const Store store;
  const auto snapshot = store.open();
  const Placed first(*snapshot, 1);
  const Placed second(*snapshot, 2);
  CHECK(second.text() == store.content);  // open from here on
  CHECK(first[0] == store.content[0]);
  const std::uint64_t second_offset = snapshot->entries()[1].offset;
  SUBCASE("to where a page was not touched") {
    std::filesystem::resize_file(store.files->snapshot_path(), second_offset - 9'000);
    CHECK(first[kBytes - 1] == 0);
    CHECK_FALSE(first.soundness->holds());
  }
  SUBCASE("under pages that were verified") {
    std::filesystem::resize_file(store.files->snapshot_path(), second_offset);
    CHECK(second[kBytes / 2] == 0);
    CHECK(first.text() == store.content);
    CHECK(first.soundness->holds());
  }
  CHECK(second[3] == 0);
  CHECK_FALSE(second.soundness->holds());
  CHECK(second.soundness->reason().ends_with(": the file has become shorter"));
}

TEST_CASE("durability/verified_pages: the verifier finds what nobody has touched, and opens all") {
  const Store store;
  store.damage(2, kBytes - 1);
  const auto snapshot = store.open();
  const Placed first(*snapshot, 1);
  const Placed second(*snapshot, 2);
  CHECK(second[0] == store.content[0]);
  CHECK(snapshot->verify(snapshot->entries()[0], kNotCancelled).has_value());
  for (int i = 0; i < 2; ++i) {
    const Status verified = snapshot->verify(snapshot->entries()[1], kNotCancelled);
    REQUIRE_FALSE(verified);
    CHECK(verified.error().code == ErrorCode::kDataLoss);
    CHECK(verified.error().message == second.soundness->reason());
  }
  CHECK(second[0] == 0);
  CHECK(first.text() == store.content);
}

TEST_CASE("durability/verified_pages: what is asked for early is verified like all else") {
  const Store store;
  const std::size_t bad = 5 * kSnapshotBlockBytes;
  store.damage(1, bad);
  const auto snapshot = store.open();
  const Placed first(*snapshot, 1);
  const Placed second(*snapshot, 2);
  constexpr std::size_t kRowBytes = 100;
  for (const Placed* const placed : {&first, &second}) {
    const std::byte* const begin = placed->memory.data();
    const std::vector<const std::byte*> rows = {
        begin,
        begin + bad - kRowBytes / 2,  // across two blocks
        begin + bad,
        begin + kBytes - 1,  // ends behind the section
        begin + padded(kBytes),
        begin - kRowBytes,  // those of others
    };
    REQUIRE(placed->memory.placement()->fetch(rows, kRowBytes));
    REQUIRE(placed->memory.placement()->fetch(rows, kRowBytes));
    CHECK(placed->soundness->holds());
  }
  CHECK(second.text() == store.content);
  CHECK(snapshot->verify(snapshot->entries()[1], kNotCancelled).has_value());
  CHECK(first[0] == store.content[0]);
  CHECK(first[bad] == 0);
  CHECK_FALSE(first.soundness->holds());
  for (const Placed* const placed : {&first, &second}) {
    const std::byte* const row = placed->memory.data();
    CHECK_FALSE(placed->memory.placement()->fetch({&row, 1}, kRowBytes));
  }
}

TEST_CASE("durability/verified_pages: threads touch a section while it is verified") {
  const Store store;
  const auto snapshot = store.open();
  const Placed placed(*snapshot, 1);
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (std::uint64_t i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      auto rng = make_rng(72 + i);
      for (int n = 0; n < 2000; ++n) {
        const std::size_t at = rng() % kBytes;
        if (placed[at] != store.content[at]) ++wrong;
      }
    });
  }
  CHECK(snapshot->verify(snapshot->entries()[0], kNotCancelled).has_value());
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
  CHECK(placed.soundness->holds());
}

TEST_CASE("durability/verified_pages: threads that meet damage at once all find zeros") {
  const Store store;
  for (const std::size_t block : {3U, 9U, 21U, 33U}) {
    store.damage(1, block * kSnapshotBlockBytes + 5);
  }
  for (int round = 0; round < 20; ++round) {
    const auto snapshot = store.open();
    const Placed placed(*snapshot, 1);
    std::vector<std::thread> threads;
    std::atomic<int> wrong = 0;
    for (const std::size_t block : {3U, 9U, 21U, 33U}) {
      threads.emplace_back([&, block] {
        const std::size_t at = block * kSnapshotBlockBytes + 5;
        if (placed[at] != 0 || placed.soundness->holds()) ++wrong;
        // What is written there from now on stays.
        placed.memory.data()[at] = std::byte{'w'};
        std::this_thread::yield();
        if (placed[at] != 'w') ++wrong;
      });
    }
    CHECK_FALSE(snapshot->verify(snapshot->entries()[0], kNotCancelled).has_value());
    for (std::thread& thread : threads) thread.join();
    CHECK(wrong == 0);
  }
}

TEST_CASE("durability/verified_pages: memory may be given up while it is verified") {
  const Store store;
  for (int i = 0; i < 50; ++i) {
    const auto snapshot = store.open();
    std::thread verifier;
    {
      const Placed placed(*snapshot, 1);
      verifier = std::thread(
          [&] { CHECK(snapshot->verify(snapshot->entries()[0], kNotCancelled).has_value()); });
      CHECK(placed[kBytes / 3] == store.content[kBytes / 3]);
    }
    verifier.join();
  }
}

TEST_CASE("durability/verified_pages: a fault elsewhere ends the process as ever") {
  const Store store;
  const auto snapshot = store.open();
  const pid_t child = ::fork();
  if (child == 0) {
    std::signal(SIGSEGV, SIG_DFL);      // doctest's would go on with the tests
    const Placed placed(*snapshot, 1);  // puts the handler over it
    volatile int* const nowhere = reinterpret_cast<volatile int*>(std::uintptr_t{64});
    *nowhere = 1;
    ::_exit(0);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGSEGV);
}

/// As engram wrote it before blocks had checksums.
std::string version_1(const std::string& content) {
  std::string file = "ENGRAMSN";
  put_number(file, std::uint32_t{1});
  put_number(file, std::uint32_t{0});
  file.append(as_text(some_id()));
  file.resize(4092);
  put_number(file, checksum_of(file));
  file += content;
  file.resize(padded(file.size()));
  const std::uint64_t table = file.size();
  std::string entries;
  put_number(entries, std::uint64_t{1});
  entries += "rows" + std::string(28, '\0');
  put_number(entries, std::uint64_t{4096});
  put_number(entries, std::uint64_t{content.size()});
  put_number(entries, checksum_of(std::string_view(file).substr(4096)));
  put_number(entries, std::uint32_t{0});
  std::string footer = "ENGRAMTC";
  put_number(footer, table);
  put_number(footer, std::uint64_t{1});
  put_number(footer, Lsn{5});
  put_number(footer, std::int64_t{6});
  footer.append(as_text(some_id()));
  put_number(footer, checksum_of(entries));
  put_number(footer, checksum_of(footer));
  return file + entries + footer;
}

TEST_CASE("durability/verified_pages: a snapshot of version 1 is verified section by section") {
  const Store store;
  for (const bool damaged : {false, true}) {
    std::string file = version_1(store.content);
    if (damaged) file[4096 + kBytes - 1] ^= 1;
    write_file(store.files->snapshot_path(), file);
    const auto snapshot = store.open();
    CHECK(snapshot->replay_from() == 5);
    const Placed placed(*snapshot, 1);
    CHECK(placed[0] == (damaged ? '\0' : store.content[0]));
    CHECK(placed.soundness->holds() != damaged);
    CHECK(snapshot->sections_of(1)->section("rows").has_value() != damaged);
  }
}

}  // namespace
}  // namespace engram::test::verified_pages_test
