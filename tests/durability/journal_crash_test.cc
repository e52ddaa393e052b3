// SPDX-License-Identifier: Apache-2.0
// The process or the machine dies at every operation of a journal's life.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tests/durability/store_fixture.h"
#include "tests/support/seed.h"
#include "tests/support/step.h"

namespace engram::test::journal_crash_test {
namespace {

constexpr int kFrames = 24;

std::string key_of(Lsn lsn) {
  return "key" + std::to_string(lsn);
}

JournalOptions small_segments() {
  return {.segment_bytes = 900,
          .sync_after = std::chrono::milliseconds(0),
          .hold_after = std::chrono::milliseconds(0),
          .retry_after = std::chrono::milliseconds(0)};
}

/// A life: frames of growing size, some in batches, rotations and removals between. Returns the
/// last LSN that was acknowledged.
Lsn live(StoreFixture& store, Lsn next, FsyncPolicy policy) {
  auto journal =
      Journal::open(*store.files, next, policy, store.wake_ups.callback(), small_segments());
  if (!journal) return next - 1;
  store.journal = std::move(*journal);
  Lsn answered = next - 1;
  for (int i = 0; i < kFrames; ++i) {
    const Lsn lsn = store.journal->last() + 1;
    store.set(key_of(lsn), std::string(lsn * 37 % 700, 'x'));
    if (i % 3 != 0) continue;
    store.wake_ups.await([&] {
      answered = store.journal->answerable();
      return answered == lsn || !store.journal->health();
    });
    if (!store.journal->health()) break;
    if (i % 9 == 0) store.journal->rotate();
  }
  answered = store.journal->answerable();
  store.journal.reset();
  return answered;
}

/// What a start-up finds: frames 1, 2, 3, … in their order.
Lsn recover(StoreFixture& store) {
  const auto replayed = replay(*store.files);
  REQUIRE_MESSAGE(replayed.has_value(), (replayed ? "" : replayed.error().message));
  for (std::size_t i = 0; i < replayed->frames.size(); ++i) {
    REQUIRE(replayed->frames[i] == key_of(i + 1));
  }
  if (replayed->end.torn) REQUIRE(cut(*store.files, *replayed->end.torn));
  return replayed->end.next;
}

/// Dies at operation `at` of each of three lives. Returns whether it came to that in the first.
bool die_at(std::uint64_t at, std::uint64_t seed, FsyncPolicy policy, bool power) {
  StoreFixture store;
  Lsn next = 1;
  bool died = false;
  for (std::uint64_t life = 0; life < 3; ++life) {
    CAPTURE(life);
    store.disk.stop_at(store.disk.operations() + at, seed + life);
    const Lsn answered = live(store, next, policy);
    if (life == 0) died = store.disk.stopped();
    if (power) {
      store.disk.lose_unsynced(seed + 10 + life);
    } else {
      store.disk.restart();
    }
    store.lock();
    next = recover(store);
    // A kill loses what only the process knew, power also what only the system knew.
    if (policy == FsyncPolicy::kAlways) REQUIRE(next > answered);
  }
  return died;
}

void die_everywhere(FsyncPolicy policy, bool power, std::uint64_t seeds_each) {
  const std::uint64_t seed = make_rng(5)();
  std::uint64_t deaths = 0;
  for (std::uint64_t at = 1;; ++at) {
    bool died = false;
    for (std::uint64_t i = 0; i < seeds_each; i += crash_step()) {
      CAPTURE(at);
      CAPTURE(seed + at * 100 + i);
      died |= die_at(at, seed + at * 100 + i, policy, power);
    }
    if (!died) break;
    ++deaths;
  }
  CHECK(deaths > 25);
}

TEST_CASE("durability/crash: a process killed at any operation loses nothing acknowledged") {
  die_everywhere(FsyncPolicy::kAlways, false, 1);
}

TEST_CASE("durability/crash: a machine stopped at any operation loses nothing acknowledged") {
  die_everywhere(FsyncPolicy::kAlways, true, 5);
}

TEST_CASE("durability/crash: under everysec and no, what is left is a prefix of what was done") {
  die_everywhere(FsyncPolicy::kEverySec, true, 2);
  for (std::uint64_t seed = 0; seed < 200; seed += crash_step()) {
    CAPTURE(seed);
    die_at(4 + seed % 10, make_rng(6)() + seed, FsyncPolicy::kNo, true);
  }
}

}  // namespace
}  // namespace engram::test::journal_crash_test
