// SPDX-License-Identifier: Apache-2.0
#include "primitives/shared/hnsw/order.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <functional>
#include <limits>
#include <queue>
#include <random>
#include <vector>

#include "primitives/shared/hnsw/rank_heap.h"
#include "tests/support/seed.h"

namespace engram::hnsw::order_test {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// Scores of all signs and sizes; some of them equal.
std::vector<Hit> hits(std::mt19937_64& rng) {
  std::vector<Hit> hits;
  for (const float score : {0.0F, -0.0F, 1.0F, -1.0F, kInfinity, -kInfinity, 1e-45F, -1e-45F}) {
    for (int i = 0; i < 3; ++i) hits.push_back({score, static_cast<Slot>(rng() % kMaxSlots)});
  }
  for (int i = 0; i < 100; ++i) {
    const auto score = std::bit_cast<float>(static_cast<std::uint32_t>(rng()));
    hits.push_back({comparable(score), static_cast<Slot>(rng() % kMaxSlots)});
  }
  return hits;
}

template <class Order>
void check_ranks(Order order, const std::vector<Hit>& hits) {
  for (const Hit& a : hits) {
    CHECK(order.hit(order.rank(a)) == a);
    CHECK(order.rank(a) < kNoRank);
    for (const Hit& b : hits) {
      if (a.score != b.score) CHECK(order(a, b) == (a.score < b.score));
      CHECK((order.rank(a) == order.rank(b)) == (a == b));
    }
  }
}

TEST_CASE("hnsw/order: ranks compare as scores do, and are the hits") {
  auto rng = test::make_rng(72);
  const std::vector<Hit> all = hits(rng);
  check_ranks(BySlot{}, all);
  for (int i = 0; i < 5; ++i) check_ranks(ByPairHash(static_cast<Slot>(rng() % kMaxSlots)), all);
  for (const Hit& a : all) {
    for (const Hit& b : all) CHECK(BySlot{}(a, b) == (a < b));
  }
}

TEST_CASE("hnsw/order: a score that is not a number is as far as can be") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  CHECK(comparable(nan) == kInfinity);
  CHECK(comparable(-nan) == kInfinity);
  CHECK(comparable(-2.5F) == -2.5F);
}

TEST_CASE("hnsw/order: ties by pair hash are an order, and differ between bases") {
  auto rng = test::make_rng(71);
  std::size_t agreements = 0;
  for (int round = 0; round < 1000; ++round) {
    const Hit a{1, static_cast<Slot>(rng() % 1000)};
    const Hit b{1, 1000 + static_cast<Slot>(rng() % 1000)};
    const ByPairHash one{static_cast<Slot>(rng())};
    const ByPairHash other{static_cast<Slot>(rng())};
    CHECK(one(a, b) != one(b, a));
    CHECK_FALSE(one(a, a));
    agreements += one(a, b) == other(a, b);
  }
  CHECK(agreements > 400);
  CHECK(agreements < 600);
}

TEST_CASE("hnsw/rank_heap: has the smallest on top, whatever is done") {
  auto rng = test::make_rng(73);
  RankHeap heap;
  for (int round = 0; round < 20; ++round) {
    heap.clear();
    std::priority_queue<Rank, std::vector<Rank>, std::greater<>> expected;
    const std::uint64_t range = round % 2 == 0 ? kNoRank : 10;  // few numbers, often equal
    for (int i = 0; i < 2000; ++i) {
      const Rank rank = rng() % range;
      const auto chance = rng() % 8;
      if (chance < 4 || expected.empty()) {
        heap.push(rank);
        expected.push(rank);
      } else if (chance < 6) {
        heap.replace_top(rank);
        expected.pop();
        expected.push(rank);
      } else {
        heap.pop();
        expected.pop();
      }
      REQUIRE(heap.size() == expected.size());
      REQUIRE(heap.empty() == expected.empty());
      if (!heap.empty()) REQUIRE(heap.top() == expected.top());
    }
    std::vector<Rank> left(heap.values().begin(), heap.values().end());
    std::sort(left.begin(), left.end());
    for (const Rank rank : left) {
      REQUIRE(rank == expected.top());
      expected.pop();
    }
  }
}

}  // namespace
}  // namespace engram::hnsw::order_test
