// SPDX-License-Identifier: Apache-2.0
// What a journal does when the disk refuses, and why that passes.
#include <doctest/doctest.h>

#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "tests/durability/store_fixture.h"

namespace engram::test::journal_retry_test {
namespace {

using Keys = std::vector<std::string>;

constexpr JournalOptions kNoPause = {.retry_after = std::chrono::milliseconds(0)};

/// Returns when `condition` holds, of which no wake-up tells.
template <class Condition>
void poll(Condition condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!condition()) {
    REQUIRE(std::chrono::steady_clock::now() < deadline);
    std::this_thread::yield();
  }
}

TEST_CASE("durability/journal: a failed write is tried again when it can be taken back") {
  for (const ErrorCode code : {ErrorCode::kIo, ErrorCode::kNoSpace}) {
    for (const std::uint64_t failed_cuts : {0U, 1U, 3U}) {
      CAPTURE(failed_cuts);
      StoreFixture store;
      store.open(1, FsyncPolicy::kAlways, kNoPause);
      store.set("a");
      store.await_answers();
      const std::uint64_t next = store.disk.operations() + 1;
      store.disk.fail_at(next, code, 5);
      for (std::uint64_t i = 1; i <= failed_cuts; ++i) store.disk.fail_at(next + i, code);
      store.set("b");
      store.set("c");
      store.await_answers();
      CHECK(store.journal->health());
      CHECK(store.journal->recoveries() == 1);
      store.disk.lose_unsynced(failed_cuts);
      CHECK(replay(*store.files)->frames == Keys{"a", "b", "c"});
    }
  }
}

/// Records "b" and "c". Returns false if a sync of them has failed.
bool write_on(StoreFixture& store) {
  store.set("b");
  store.set("c");
  bool failed = false;
  store.wake_ups.await([&] {
    const Status health = store.journal->health();
    failed = !health && health.error().code == ErrorCode::kIo;
    return failed || store.journal->answerable() == store.journal->last();
  });
  return !failed;
}

/// Lives with a fault at operation 1, 2, ... of `begin`, which begins a segment.
template <class Begin>
void fail_everywhere(std::uint64_t fewest, const Begin& begin) {
  for (const ErrorCode code : {ErrorCode::kIo, ErrorCode::kNoSpace}) {
    std::uint64_t at = 1;
    for (bool passes = true; passes; ++at) {
      CAPTURE(at);
      StoreFixture store;
      store.open(1, FsyncPolicy::kAlways, kNoPause);
      store.set("a");
      store.await_answers();
      store.disk.fail_at(store.disk.operations() + at, code, at % 50);
      begin(store);
      passes = write_on(store);  // or it was the sync of "b" and "c" that has failed
      CHECK(store.journal->health().has_value() == passes);
      store.journal.reset();
      store.disk.lose_unsynced(at);
      if (passes) CHECK(replay(*store.files)->frames == Keys{"a", "b", "c"});
    }
    CHECK(at > fewest);
  }
}

TEST_CASE("durability/journal: whatever fails while a segment is begun passes") {
  fail_everywhere(4, [](StoreFixture& store) { store.journal->rotate(); });
}

TEST_CASE("durability/journal: whatever fails while a journal is opened passes") {
  fail_everywhere(8, [](StoreFixture& store) {
    store.journal.reset();
    store.open(2, FsyncPolicy::kAlways, kNoPause);
  });
}

TEST_CASE("durability/journal: on a disk without a byte it waits for room") {
  StoreFixture store;
  store.open();
  store.set("a");
  store.await_answers();
  store.journal.reset();
  store.disk.set_space(0);
  store.open(2, FsyncPolicy::kAlways, kNoPause);
  CHECK(store.journal->health().error().code == ErrorCode::kNoSpace);
  store.disk.set_space(std::nullopt);
  store.wake_ups.await([&] { return store.journal->health().has_value(); });
  store.set("b");
  store.await_answers();
  store.disk.lose_unsynced(1);
  CHECK(replay(*store.files)->frames == Keys{"a", "b"});
}

TEST_CASE("durability/journal: in a directory that was made again it waits for a snapshot") {
  StoreFixture store;
  store.open(1, FsyncPolicy::kAlways, kNoPause);
  store.set("a");
  store.await_answers();
  std::filesystem::remove_all(store.directory.path());
  store.journal->rotate();
  store.wake_ups.await([&] { return !store.journal->health(); });
  std::filesystem::create_directory(store.directory.path());
  poll([&] {
    const Status health = store.journal->health();
    return health || health.error().message.find("VSAVE") != std::string::npos;
  });
  CHECK(store.journal->health().error().code == ErrorCode::kUnavailable);
  CHECK(store.files->segments()->empty());

  store.journal->remove_before(2);  // a snapshot has "a"
  store.wake_ups.await([&] { return store.journal->health().has_value(); });
  store.set("b");
  store.await_answers();
  CHECK(replay(*store.files, 2)->frames == Keys{"b"});
}

TEST_CASE("durability/journal: what was acknowledged is tried again at the end") {
  StoreFixture store;
  store.open(1, FsyncPolicy::kNo, kNoPause);
  const std::uint64_t next = store.disk.operations() + 1;
  for (const std::uint64_t at : {0U, 1U, 2U}) store.disk.fail_at(next + at, ErrorCode::kIo, 5);
  store.set("a");
  CHECK(store.journal->answerable() == 1);
  REQUIRE(store.journal->close());
  CHECK(replay(*store.files)->frames == Keys{"a"});
}

}  // namespace
}  // namespace engram::test::journal_retry_test
