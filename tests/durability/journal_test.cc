// SPDX-License-Identifier: Apache-2.0
#include "server/durability/journal.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "server/durability/journal_format.h"
#include "server/durability/synced_mark.h"
#include "tests/durability/store_fixture.h"
#include "tests/support/seed.h"

namespace engram::test::journal_test {
namespace {

using Keys = std::vector<std::string>;

/// Time does not pass under everysec, or passes at once.
constexpr std::chrono::milliseconds kNever = std::chrono::hours(1);
constexpr std::chrono::milliseconds kAtOnce{0};

TEST_CASE("durability/journal: what was recorded is read back in frames") {
  StoreFixture store;
  store.open();
  CHECK(store.journal->seal() == 0);
  store.journal->record(SetString{"a", 5, "1"});
  store.journal->record(SetString{"b", kNeverExpires, ""});
  CHECK(store.journal->seal() == 1);
  CHECK(store.set("c") == 2);
  CHECK(store.journal->last() == 2);
  REQUIRE(store.journal->close());

  const auto replayed = replay(*store.files);
  REQUIRE(replayed);
  CHECK(replayed->frames == Keys{"a,b", "c"});
  CHECK(replayed->end.next == 3);
  CHECK(replayed->end.frames == 2);
  CHECK_FALSE(replayed->end.torn);
  CHECK(replay(*store.files, 2)->frames == Keys{"c"});
}

TEST_CASE("durability/journal: under always an answer waits for the disk") {
  StoreFixture store;
  store.open();
  store.disk.hold_syncs();
  store.set("a");
  CHECK(store.journal->answerable() == 0);
  store.disk.await_held_sync();
  CHECK(store.journal->answerable() == 0);
  store.disk.release_syncs();
  store.await_answers();
  CHECK(store.journal->answerable() == 1);
}

TEST_CASE("durability/journal: one sync serves all that gathered while another was running") {
  StoreFixture store;
  store.open();
  const std::uint64_t before = store.journal->stats().syncs;
  store.disk.hold_syncs();
  store.set("first");
  store.journal->answerable();
  store.disk.await_held_sync();
  for (int i = 0; i < 1000; ++i) {
    store.set("k" + std::to_string(i));
    store.journal->answerable();
  }
  CHECK(store.journal->answerable() == 0);
  CHECK(store.journal->stats().buffered_bytes > 1000 * kFrameHeaderBytes);
  store.disk.release_syncs();
  store.await_answers();
  CHECK(store.journal->last() == 1001);
  CHECK(store.journal->stats().syncs == before + 2);
  CHECK(store.journal->stats().buffered_bytes == 0);
}

TEST_CASE("durability/journal: the changes of one turn of the loop cost one sync") {
  StoreFixture store;
  store.open();
  const std::uint64_t before = store.journal->stats().syncs;
  for (int i = 0; i < 100; ++i) store.set("k");
  store.await_answers();
  CHECK(store.journal->stats().syncs == before + 1);
}

TEST_CASE("durability/journal: under everysec answers do not wait for a young change") {
  StoreFixture store;
  store.open(1, FsyncPolicy::kEverySec, {.sync_after = kAtOnce, .hold_after = kNever});
  store.disk.hold_syncs();
  store.set("a");
  CHECK(store.journal->answerable() == 1);
  store.disk.await_held_sync();
  store.set("b");
  CHECK(store.journal->answerable() == 2);
  CHECK(store.journal->stats().delayed == 0);
  store.disk.release_syncs();
}

TEST_CASE("durability/journal: under everysec answers wait while an old change is not on disk") {
  StoreFixture store;
  store.open(1, FsyncPolicy::kEverySec, {.sync_after = kAtOnce, .hold_after = kAtOnce});
  store.disk.hold_syncs();
  store.set("a");
  CHECK(store.journal->answerable() == 0);
  store.disk.await_held_sync();
  store.set("b");
  CHECK(store.journal->answerable() == 0);
  CHECK(store.journal->stats().delayed == 2);
  store.disk.release_syncs();
  store.await_answers();
  CHECK(store.journal->stats().delayed == 2);
}

TEST_CASE("durability/journal: under everysec the disk is left alone until the oldest is old") {
  StoreFixture store;
  store.open(1, FsyncPolicy::kEverySec, {.sync_after = kNever, .hold_after = kNever});
  const std::uint64_t before = store.disk.syncs();
  for (int i = 0; i < 50; ++i) {
    store.set("a");
    store.journal->answerable();
  }
  // The thread has certainly dealt with all of that once it is asked for something else.
  store.journal->set_policy(FsyncPolicy::kAlways);
  store.wake_ups.await([&] {
    store.set("b");
    return store.journal->answerable() >= 51;
  });
  CHECK(store.disk.syncs() >= before + 1);
  CHECK(store.disk.syncs() <= before + 3);
}

TEST_CASE("durability/journal: under no nothing is synced but at the end") {
  StoreFixture store;
  store.open(1, FsyncPolicy::kNo);
  const std::uint64_t before = store.disk.syncs();
  for (int i = 1; i <= 50; ++i) {
    store.set("a");
    CHECK(store.journal->answerable() == static_cast<Lsn>(i));
  }
  CHECK(store.disk.syncs() == before);
  REQUIRE(store.journal->close());
  CHECK(store.disk.syncs() == before + 1);
}

TEST_CASE("durability/journal: a sync that was asked for comes with a wake-up of its own") {
  StoreFixture store;
  store.open(1, FsyncPolicy::kNo);
  // Every answer is given at once, so that nothing else asks for a wake-up.
  for (int i = 0; i < 1000; ++i) {
    const Lsn lsn = store.set("a");
    CHECK(store.journal->answerable() == lsn);
    store.journal->sync_soon();
    store.wake_ups.await([&] { return store.journal->durable() >= lsn; });
  }
  store.journal->sync_soon();
  store.wake_ups.await([&] { return store.journal->durable() == 1000; });
  store.disk.lose_unsynced(1);
  CHECK(replay(*store.files)->frames.size() == 1000);
}

TEST_CASE("durability/journal: always takes what an easier policy has left") {
  StoreFixture store;
  store.open(1, FsyncPolicy::kNo);
  store.set("a");
  CHECK(store.journal->answerable() == 1);
  store.journal->set_policy(FsyncPolicy::kAlways);
  CHECK(store.journal->answerable() == 1);
  store.set("b");
  store.await_answers();
  store.disk.lose_unsynced(1);
  CHECK(replay(*store.files)->frames == Keys{"a", "b"});
}

TEST_CASE("durability/journal: whatever the policy, memory for what is not written is bounded") {
  for (const FsyncPolicy policy : {FsyncPolicy::kEverySec, FsyncPolicy::kNo}) {
    CAPTURE(policy_name(policy));
    StoreFixture store;
    store.open(1, policy,
               {.segment_bytes = 300,
                .most_buffered_bytes = 1000,
                .sync_after = kAtOnce,
                .hold_after = kNever});
    store.disk.hold_syncs();
    store.set("a", std::string(400, 'x'));  // the next one needs a new segment, thus a sync
    store.set("b");
    CHECK(store.journal->answerable() == 2);
    store.disk.await_held_sync();
    store.set("c", std::string(1000, 'x'));
    CHECK(store.journal->answerable() == 2);
    store.disk.release_syncs();
    store.await_answers();
  }
}

TEST_CASE("durability/journal: a segment ends where it is full, and the next goes on") {
  StoreFixture store;
  store.open(1, FsyncPolicy::kAlways, {.segment_bytes = 200});
  Keys keys;
  for (int i = 0; i < 20; ++i) {
    keys.push_back("key" + std::to_string(i));
    store.set(keys.back());
    if (i % 3 == 0) store.await_answers();
  }
  keys.push_back("large");
  store.set("large", std::string(1000, 'x'));
  REQUIRE(store.journal->close());
  const auto segments = *store.files->segments();
  CHECK(segments.size() > 8);
  std::uint64_t bytes = 0;
  for (const Lsn first : segments) {
    const auto size = std::filesystem::file_size(store.segment(first));
    bytes += size;
    if (first != segments.back()) CHECK(size <= 200);
  }
  CHECK(store.journal->stats().bytes == bytes);
  CHECK(replay(*store.files)->frames == keys);
}

TEST_CASE(
    "durability/journal: a rotation begins a segment with the next frame, whole batches or not") {
  StoreFixture store;
  store.open();
  store.disk.hold_syncs();
  store.set("a");
  store.journal->answerable();
  store.disk.await_held_sync();
  store.set("b");
  store.journal->rotate();
  store.set("c");
  store.journal->remove_before(3);
  store.disk.release_syncs();
  store.await_answers();
  store.journal->rotate();
  store.journal->rotate();
  REQUIRE(store.journal->close());
  // The removal that was asked for before the rotation was done is caught up on by the next.
  const auto segments = *store.files->segments();
  CHECK(std::find(segments.begin(), segments.end(), Lsn{3}) != segments.end());
  CHECK(segments.back() == 4);
  CHECK(replay(*store.files, 3)->frames == Keys{"c"});
}

TEST_CASE("durability/journal: only segments that end before an LSN are removed") {
  StoreFixture store;
  store.open();
  for (const char* const key : {"a", "b", "c", "d"}) {
    store.set(key);
    store.set(key);
    store.await_answers();
    store.journal->rotate();
  }
  store.journal->remove_before(6);
  store.set("e");
  store.await_answers();
  REQUIRE(store.journal->close());
  CHECK(*store.files->segments() == std::vector<Lsn>{5, 7, 9});
  CHECK(replay(*store.files, 5)->frames == Keys{"c", "c", "d", "d", "e"});
  CHECK_FALSE(replay(*store.files, 4));
}

TEST_CASE("durability/journal: a full disk is survived, with every frame in its place") {
  StoreFixture store;
  store.open(1, FsyncPolicy::kAlways, {.segment_bytes = 2000, .retry_after = kAtOnce});
  store.set("a");
  store.await_answers();
  REQUIRE(store.journal->health());

  Keys keys{"a"};
  store.disk.set_space(150);  // two frames and a half
  for (int i = 0; i < 10; ++i) {
    keys.push_back("full" + std::to_string(i));
    store.set(keys.back());
  }
  store.journal->answerable();
  store.wake_ups.await([&] { return !store.journal->health(); });
  CHECK(store.journal->health().error().code == ErrorCode::kNoSpace);
  CHECK(store.journal->answerable() < 11);
  // What is there now is whole: the frame that did not fit was cut off again.
  CHECK_FALSE(replay(*store.files)->end.torn);

  store.disk.set_space(std::nullopt);
  store.await_answers();
  CHECK(store.journal->health());
  REQUIRE(store.journal->close());
  CHECK(replay(*store.files)->frames == keys);
}

TEST_CASE("durability/journal: what waited behind a full disk is written when there is space") {
  for (const auto policy : {FsyncPolicy::kEverySec, FsyncPolicy::kNo}) {
    StoreFixture store;
    store.open(1, policy, {.sync_after = kAtOnce, .hold_after = kNever, .retry_after = kAtOnce});
    store.disk.hold_syncs();
    store.set("a");
    store.journal->sync_soon();
    store.disk.await_held_sync();
    store.disk.set_space(0);
    store.set("b");  // is taken next, and does not fit
    store.journal->answerable();
    store.disk.release_syncs();
    store.wake_ups.await([&] { return !store.journal->health(); });
    store.set("c");
    store.journal->answerable();
    store.disk.set_space(std::nullopt);
    // Nobody asks for anything more.
    store.wake_ups.await([&] { return store.journal->health().has_value(); });
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (store.journal->stats().buffered_bytes > 0) {
      REQUIRE(std::chrono::steady_clock::now() < deadline);
      std::this_thread::yield();
    }
    store.disk.restart();
    CHECK(replay(*store.files)->frames == Keys{"a", "b", "c"});
  }
}

/// Writes "a", which is kept, and "b", whose sync fails.
void fail_second_sync(StoreFixture& store) {
  store.open();
  store.set("a");
  store.await_answers();
  store.disk.fail_syncs(true);
  store.set("b");
  store.journal->answerable();
  store.wake_ups.await([&] { return !store.journal->health(); });
}

TEST_CASE(
    "durability/journal: after a failed sync a restart does not trust what the system shows") {
  const std::uint64_t seed = make_rng(12)();
  for (std::uint64_t i = 0; i < 20; ++i) {
    CAPTURE(seed + i);
    StoreFixture store;
    fail_second_sync(store);
    store.journal.reset();
    store.disk.restart();
    REQUIRE(replay(*store.files)->frames == Keys{"a", "b"});
    store.open(3);
    store.set("c");
    store.await_answers();
    store.journal.reset();
    store.disk.lose_unsynced(seed + i);
    CHECK(replay(*store.files)->frames == Keys{"a", "b", "c"});
  }
}

TEST_CASE("durability/journal: a full disk is survived at every byte, in a rotation too") {
  for (std::uint64_t space = 0; space < 400; space += 7) {
    CAPTURE(space);
    StoreFixture store;
    store.open(1, FsyncPolicy::kAlways, {.segment_bytes = 160, .retry_after = kAtOnce});
    store.disk.set_space(space);
    Keys keys;
    for (int i = 0; i < 6; ++i) {
      keys.push_back("key" + std::to_string(i));
      store.set(keys.back());
    }
    store.journal->rotate();
    keys.push_back("last");
    store.set("last");
    store.journal->answerable();
    store.wake_ups.await(
        [&] { return !store.journal->health() || store.journal->answerable() == 7; });
    store.disk.set_space(std::nullopt);
    store.await_answers();
    CHECK(store.journal->health());
    REQUIRE(store.journal->close());
    CHECK(replay(*store.files)->frames == keys);
  }
}

TEST_CASE("durability/journal: what found room on a full disk is synced and answered") {
  StoreFixture store;
  store.open(1, FsyncPolicy::kAlways, {.retry_after = kNever});
  store.disk.set_space(60);  // for one frame
  store.set("a");
  store.set("b");
  store.wake_ups.await([&] { return store.journal->answerable() == 1; });
  CHECK_FALSE(store.journal->health());
  store.disk.lose_unsynced(1);
  CHECK(replay(*store.files)->frames == Keys{"a"});
}

TEST_CASE("durability/journal: a disk that stays full is reported at the end") {
  StoreFixture store;
  store.open(1, FsyncPolicy::kNo, {.retry_after = kAtOnce});
  store.disk.set_space(0);
  store.set("a");
  const Status closed = store.journal->close();
  REQUIRE_FALSE(closed);
  CHECK(closed.error().code == ErrorCode::kNoSpace);
}

TEST_CASE("durability/journal: a failed sync is final") {
  StoreFixture store;
  fail_second_sync(store);
  CHECK(store.journal->health().error().code == ErrorCode::kIo);

  store.disk.fail_syncs(false);
  const std::uint64_t operations = store.disk.operations();
  CHECK(store.set("c") == 3);
  CHECK(store.journal->answerable() == 1);
  store.journal->rotate();
  const Status closed = store.journal->close();
  REQUIRE_FALSE(closed);
  CHECK(closed.error().code == ErrorCode::kIo);
  CHECK(store.disk.operations() == operations);
}

TEST_CASE("durability/journal: what a process wrote and did not sync is synced by the next") {
  StoreFixture store;
  store.open(1, FsyncPolicy::kNo);
  store.set("a");
  store.journal->answerable();
  while (replay(*store.files)->end.next == 1) std::this_thread::yield();
  store.disk.stop_at(store.disk.operations() + 1, 0);
  REQUIRE_FALSE(store.journal->close());
  store.disk.restart();
  const Lsn next = replay(*store.files)->end.next;
  const std::uint64_t before = store.disk.syncs();
  store.open(next, FsyncPolicy::kNo);
  CHECK(store.disk.syncs() == before + 2);  // of the old segment, and of the new one's header
  store.disk.lose_unsynced(1);
  CHECK(replay(*store.files)->frames == Keys{"a"});
}

TEST_CASE("durability/journal: frames say what was on disk when they were made") {
  StoreFixture store;
  store.open();
  store.set("a");
  store.set("b");
  store.await_answers();
  store.set("c");
  store.await_answers();
  const std::string bytes = read_file(store.segment(1));
  FrameHeader header;
  std::vector<Lsn> known;
  for (std::size_t at = kSegmentHeaderBytes; at < bytes.size();
       at += kFrameHeaderBytes + header.body_bytes) {
    REQUIRE(parse_frame_header(std::string_view(bytes).substr(at), header));
    known.push_back(header.known_durable);
  }
  CHECK(known == std::vector<Lsn>{0, 0, 2});
}

TEST_CASE("durability/journal: what was not synced is not noted") {
  StoreFixture store;
  fail_second_sync(store);
  REQUIRE_FALSE(store.journal->close());
  CHECK(read_synced_mark(*store.files)->lsn < 2);
}

TEST_CASE("durability/journal: a loop that records, asks and changes its mind loses nothing") {
  for (const FsyncPolicy first : {FsyncPolicy::kAlways, FsyncPolicy::kEverySec, FsyncPolicy::kNo}) {
    StoreFixture store;
    store.open(1, first,
               {.segment_bytes = 4096,
                .most_buffered_bytes = 2000,
                .sync_after = kAtOnce,
                .hold_after = kAtOnce});
    Keys keys;
    Lsn answered = 0;
    for (int i = 0; i < 3000; ++i) {
      keys.push_back(std::to_string(i));
      store.set(keys.back());
      const Lsn now = store.journal->answerable();
      REQUIRE(now >= answered);
      answered = now;
      if (i % 500 == 499) store.journal->set_policy(static_cast<FsyncPolicy>(i / 500 % 3));
      if (i % 700 == 699) store.journal->rotate();
      REQUIRE(store.journal->health());
      if (i % 100 == 0) CHECK(store.journal->stats().bytes > 0);
    }
    store.await_answers();
    REQUIRE(store.journal->close());
    CHECK(replay(*store.files)->frames == keys);
  }
}

}  // namespace
}  // namespace engram::test::journal_test
