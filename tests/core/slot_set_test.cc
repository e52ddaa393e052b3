// SPDX-License-Identifier: Apache-2.0
#include "core/slot_set.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <random>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "tests/support/seed.h"

namespace engram::slot_set_test {
namespace {

std::vector<Slot> members(const SlotSet& set, Slot begin, Slot end) {
  std::vector<Slot> slots;
  set.for_each(begin, end, [&](Slot slot) { slots.push_back(slot); });
  return slots;
}

std::vector<Slot> members_by_runs(const SlotSet& set, Slot begin, Slot end) {
  std::vector<Slot> slots;
  set.for_each_run(begin, end, [&](Slot first, std::size_t count) {
    const bool maximal = slots.empty() || slots.back() + 1 < first;
    CHECK(maximal);
    for (std::size_t i = 0; i < count; ++i) slots.push_back(first + static_cast<Slot>(i));
  });
  return slots;
}

TEST_CASE("core/slot_set: insert and erase say whether they changed anything") {
  SlotSet set;
  CHECK(!set.contains(5));
  CHECK(!set.erase(5));
  CHECK(set.insert(5).value());
  CHECK(!set.insert(5).value());
  CHECK(set.contains(5));
  CHECK(!set.contains(6));
  CHECK(set.size() == 1);
  CHECK(set.erase(5));
  CHECK(!set.contains(5));
  CHECK(set.size() == 0);
}

TEST_CASE("core/slot_set: the last slot fits, and one beyond is refused") {
  SlotSet set;
  CHECK(set.insert(static_cast<Slot>(kMaxSlots - 1)).value());
  const auto beyond = set.insert(static_cast<Slot>(kMaxSlots));
  REQUIRE(!beyond.has_value());
  CHECK(beyond.error().code == ErrorCode::kResourceExhausted);
  CHECK(!set.contains(kNoSlot));
  CHECK(!set.erase(kNoSlot));
}

TEST_CASE("core/slot_set: any sequence of changes, and any window, equals a std::set") {
  auto rng = test::make_rng(10);
  SlotSet set;
  std::set<Slot> expected;
  std::uniform_int_distribution<Slot> any_slot(0, 400);
  for (int i = 0; i < 2000; ++i) {
    const Slot slot = any_slot(rng);
    if (rng() % 3 == 0) {
      CHECK(set.erase(slot) == (expected.erase(slot) == 1));
    } else {
      CHECK(set.insert(slot).value() == expected.insert(slot).second);
    }
    CHECK(set.size() == expected.size());
    const auto [begin, end] = std::minmax({any_slot(rng), any_slot(rng)});
    const std::vector<Slot> window(expected.lower_bound(begin), expected.lower_bound(end));
    CHECK(members(set, begin, end) == window);
    CHECK(members_by_runs(set, begin, end) == window);
  }
  CHECK(members(set, 0, kNoSlot) == std::vector<Slot>(expected.begin(), expected.end()));
}

TEST_CASE("core/slot_set: the end is one past the highest member") {
  SlotSet set;
  CHECK(set.end() == 0);
  for (const Slot slot : {Slot{0}, Slot{63}, Slot{64}, Slot{700'000}, Slot{kMaxSlots - 1}}) {
    CHECK(set.insert(slot).value());
    CHECK(set.end() == slot + 1);
  }
  set.erase(static_cast<Slot>(kMaxSlots - 1));
  CHECK(set.end() == 700'001);
}

TEST_CASE("core/slot_set: assign gives the members of the other, and forgets those before") {
  auto rng = test::make_rng(11);
  SlotSet small;
  SlotSet large;
  for (int i = 0; i < 500; ++i) {
    REQUIRE(small.insert(static_cast<Slot>(rng() % 1000)).has_value());
    REQUIRE(large.insert(static_cast<Slot>(rng() % 2'000'000)).has_value());
  }
  const auto is_same = [](const SlotSet& a, const SlotSet& b) {
    return a.size() == b.size() && members(a, 0, kNoSlot) == members(b, 0, kNoSlot);
  };
  SlotSet copy;
  for (const SlotSet* const other : {&large, &small, &large}) {
    REQUIRE(copy.assign(*other).has_value());
    CHECK(is_same(copy, *other));
  }
}

TEST_CASE("core/slot_set: a set may be copied while it changes") {
  constexpr Slot kStays = 10'000;
  SlotSet set;
  for (Slot slot = 0; slot < kStays; slot += 2) REQUIRE(set.insert(slot).has_value());
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    for (Slot slot = 1; !stop; slot = (slot + 2) % kStays | 1) {
      if (!set.insert(slot).has_value()) return;
      set.erase(slot);
    }
  });
  for (int round = 0; round < 50; ++round) {
    SlotSet copy;
    REQUIRE(copy.assign(set).has_value());
    std::size_t stayed = 0;
    copy.for_each(0, kStays, [&](Slot slot) { stayed += slot % 2 == 0; });
    CHECK(stayed == kStays / 2);
    CHECK(copy.size() == members(copy, 0, kNoSlot).size());
  }
  stop = true;
  writer.join();
}

TEST_CASE("core/slot_set: concurrent inserts and erases lose nothing") {
  constexpr Slot kPerThread = 20'000;
  SlotSet set;
  const auto work = [&set](Slot remainder) {  // neighbouring slots share words
    for (Slot i = 0; i < kPerThread; ++i) {
      const Slot slot = i * 4 + remainder;
      if (!set.insert(slot).value()) return;
      if (i % 2 == 0) set.erase(slot);
    }
  };
  std::vector<std::thread> threads;
  for (Slot remainder = 0; remainder < 4; ++remainder) threads.emplace_back(work, remainder);
  for (std::thread& thread : threads) thread.join();
  CHECK(set.size() == 4 * kPerThread / 2);
  for (Slot slot = 0; slot < 4 * kPerThread; ++slot) {
    if (set.contains(slot) != (slot / 4 % 2 == 1)) FAIL("slot " << slot);
  }
}

}  // namespace
}  // namespace engram::slot_set_test
