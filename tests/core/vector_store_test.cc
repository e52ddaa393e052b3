// SPDX-License-Identifier: Apache-2.0
#include "core/vector_store.h"

#include <doctest/doctest.h>

#include <atomic>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include "tests/support/seed.h"

namespace engram::vector_store_test {
namespace {

std::unique_ptr<VectorStore> make_store(std::size_t dim, Metric metric = Metric::kL2) {
  auto store = VectorStore::create(dim, metric);
  REQUIRE(store.has_value());
  return std::move(*store);
}

Slot add(VectorStore& store, const std::vector<float>& vector) {
  const auto slot = store.allocate();
  REQUIRE(slot.has_value());
  store.write(*slot, vector);
  return *slot;
}

std::vector<float> read(const VectorStore& store, Slot slot) {
  std::vector<float> vector(store.dim());
  store.read(slot, vector);
  return vector;
}

std::vector<float> random_vector(std::size_t dim, std::mt19937_64& rng) {
  std::normal_distribution<float> normal;
  std::vector<float> vector(dim);
  for (float& value : vector) value = normal(rng);
  return vector;
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

TEST_CASE("core/vector_store: a dimension out of range is refused with the range") {
  for (const std::size_t dim : {std::size_t{0}, kMaxDimension + 1}) {
    const auto store = VectorStore::create(dim, Metric::kL2);
    REQUIRE(!store.has_value());
    CHECK(store.error().code == ErrorCode::kInvalidArgument);
    CHECK(store.error().message ==
          "dimension must be between 1 and 65536, got " + std::to_string(dim));
  }
}

TEST_CASE("core/vector_store: rows are aligned, and stay where they were seen, in many blocks") {
  for (const std::size_t dim :
       {std::size_t{1}, std::size_t{17}, std::size_t{1536}, kMaxDimension}) {
    CAPTURE(dim);
    const auto store = make_store(dim);
    const std::size_t block = std::bit_floor(kHugePage / store->row_bytes());
    const std::size_t count = 2 * block + 1;  // the third block begins
    std::vector<const std::byte*> rows;
    std::vector<float> vector(dim);
    for (std::size_t i = 0; i < count; ++i) {
      const auto slot = store->allocate();
      REQUIRE(slot.has_value());
      REQUIRE(*slot == i);  // dense
      vector[0] = static_cast<float>(i);
      store->write(*slot, vector);
      rows.push_back(store->row(*slot));
    }
    for (std::size_t i = 0; i < count; ++i) {
      const std::byte* const row = store->row(static_cast<Slot>(i));
      const bool stayed = std::memcmp(row, rows[i], store->row_bytes()) == 0;
      const bool aligned = reinterpret_cast<std::uintptr_t>(row) % kRowAlignment == 0 &&
                           reinterpret_cast<std::uintptr_t>(rows[i]) % kRowAlignment == 0;
      const bool contiguous =
          i % block == 0 || row == store->row(static_cast<Slot>(i - 1)) + store->row_bytes();
      if (!stayed || !aligned || !contiguous) FAIL("row " << i);
    }
    CHECK(store->run_length(static_cast<Slot>(block - 1)) == 1);
    CHECK(store->run_length(static_cast<Slot>(block)) == block);
    CHECK(store->slot_end() == count);
  }
}

TEST_CASE("core/vector_store: a slot is given to one at a time, whether named or not") {
  auto rng = test::make_rng(33);
  for (int round = 0; round < 20; ++round) {
    const auto store = make_store(1);
    std::set<Slot> taken;
    for (int i = 0; i < 5'000; ++i) {
      const auto named = static_cast<Slot>(rng() % 400);
      const bool is_free = store->is_free(named);
      REQUIRE(is_free == !taken.contains(named));
      if (const auto what = rng() % 4; what == 0 && is_free) {
        REQUIRE(store->allocate(named).has_value());
        taken.insert(named);
      } else if (what == 1) {
        const Slot end = store->slot_end();
        const Slot slot = store->allocate().value();
        REQUIRE(taken.insert(slot).second);
        if (slot == end) REQUIRE(taken.size() == store->slot_end());  // there was no other
      } else if (!is_free) {
        store->release(named);
        taken.erase(named);
      }
      REQUIRE(store->live() == taken.size());
      std::size_t free = 0;
      store->for_each_free([&](Slot slot) {
        REQUIRE_FALSE(taken.contains(slot));
        ++free;
      });
      REQUIRE(free + taken.size() == store->slot_end());
    }
  }
}

TEST_CASE("core/vector_store: slots that are always named do not add up to memory") {
  const auto store = make_store(1);
  for (int i = 0; i < 100; ++i) add(*store, {0});
  const std::size_t before = store->memory_bytes();
  for (int i = 0; i < 100'000; ++i) {
    store->release(static_cast<Slot>(i % 100));
    REQUIRE(store->allocate(static_cast<Slot>(i % 100)).has_value());
  }
  CHECK(store->memory_bytes() <= before + (std::size_t{1} << 14));
}

TEST_CASE("core/vector_store: under l2 and dot a vector is read back bit for bit") {
  auto rng = test::make_rng(30);
  for (const Metric metric : {Metric::kL2, Metric::kDot}) {
    for (const std::size_t dim : {std::size_t{1}, std::size_t{100}, kMaxDimension}) {
      const auto store = make_store(dim, metric);
      const std::vector<float> first = random_vector(dim, rng);
      const std::vector<float> second = random_vector(dim, rng);
      const Slot a = add(*store, first);
      const Slot b = add(*store, second);
      CHECK(same_bits(read(*store, a), first));
      CHECK(same_bits(read(*store, b), second));
    }
  }
}

TEST_CASE("core/vector_store: under cosine a vector is read back to within a rounding") {
  auto rng = test::make_rng(31);
  for (const std::size_t dim : {std::size_t{1}, std::size_t{100}, kMaxDimension}) {
    const auto store = make_store(dim, Metric::kCosine);
    const std::vector<float> vector = random_vector(dim, rng);
    const std::vector<float> back = read(*store, add(*store, vector));
    for (std::size_t i = 0; i < dim; ++i) {
      const double error = std::abs(double{back[i]} - double{vector[i]});
      if (error > 0x1.8p-23 * std::abs(double{vector[i]})) FAIL("component " << i);
    }
    const std::vector<float> zero(dim, 0.0F);
    CHECK(same_bits(read(*store, add(*store, zero)), zero));
    std::vector<float> unit(dim, 0.0F);
    unit.back() = -1.0F;
    CHECK(same_bits(read(*store, add(*store, unit)), unit));
  }
}

TEST_CASE("core/vector_store: the slot released last is reused first, with its row in place") {
  const auto store = make_store(4);
  for (int i = 0; i < 3; ++i) add(*store, {1, 2, 3, 4});
  CHECK(store->live() == 3);
  store->release(0);
  store->release(2);
  CHECK(store->live() == 1);
  CHECK(read(*store, 2) == std::vector<float>{1, 2, 3, 4});  // until it is written again
  const std::byte* const row = store->row(2);
  CHECK(add(*store, {5, 6, 7, 8}) == 2);
  CHECK(store->row(2) == row);
  CHECK(read(*store, 2) == std::vector<float>{5, 6, 7, 8});
  CHECK(add(*store, {0, 0, 0, 0}) == 0);
  CHECK(add(*store, {0, 0, 0, 0}) == 3);
  CHECK(store->slot_end() == 4);
  CHECK(store->live() == 4);
}

TEST_CASE("core/vector_store: a reused slot takes over nothing of its former vector") {
  const auto store = make_store(3, Metric::kCosine);
  const Slot slot = add(*store, {300, 400, 500});
  store->release(slot);
  CHECK(add(*store, {0, 1, 0}) == slot);
  CHECK(read(*store, slot) == std::vector<float>{0, 1, 0});
}

TEST_CASE("core/vector_store: memory is counted by slots in use, and churn adds none") {
  const auto store = make_store(100);
  const std::vector<float> vector(100, 1.0F);
  for (int i = 0; i < 1000; ++i) add(*store, vector);
  CHECK(store->memory_bytes() >= 1000 * row_bytes(100));
  const auto churn = [&] {
    for (Slot slot = 0; slot < 500; ++slot) store->release(slot);
    for (int i = 0; i < 500; ++i) add(*store, vector);
  };
  churn();
  const std::size_t before = store->memory_bytes();
  for (int i = 0; i < 10; ++i) churn();
  CHECK(store->memory_bytes() == before);
}

TEST_CASE("core/vector_store: readers see whole rows while the owner adds blocks") {
  constexpr std::size_t kDim = 1024;
  constexpr Slot kCount = 2000;
  const auto store = make_store(kDim);
  std::atomic<Slot> published{0};
  std::atomic<bool> torn{false};
  std::thread reader([&] {
    for (Slot seen = 0; seen < kCount; seen = published.load(std::memory_order_acquire)) {
      if (seen == 0) continue;
      const std::vector<float> vector = read(*store, seen - 1);
      if (vector != std::vector<float>(kDim, static_cast<float>(seen - 1))) torn = true;
    }
  });
  for (Slot i = 0; i < kCount; ++i) {
    add(*store, std::vector<float>(kDim, static_cast<float>(i)));
    published.store(i + 1, std::memory_order_release);
  }
  reader.join();
  CHECK(!torn);
}

}  // namespace
}  // namespace engram::vector_store_test
