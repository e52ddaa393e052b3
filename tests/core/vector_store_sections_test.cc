// SPDX-License-Identifier: Apache-2.0
// Saving and loading a store, and what may go on meanwhile.
#include <doctest/doctest.h>

#include <cstring>
#include <limits>
#include <set>
#include <thread>
#include <vector>

#include "core/vector_store.h"
#include "tests/support/memory_sections.h"
#include "tests/support/seed.h"
#include "tests/support/vectors.h"

namespace engram::vector_store_sections_test {
namespace {

using test::MemorySectionReader;
using test::MemorySectionWriter;
using test::Sections;
using test::uniform_vectors;
using test::Vectors;

std::unique_ptr<VectorStore> make_store(std::size_t dim, Metric metric = Metric::kL2) {
  return VectorStore::create(dim, metric).value();
}

/// A store, the slots that are to be saved, and the vectors that all slots have.
struct Filled {
  Filled(std::size_t dim, Metric metric, std::size_t count, test::Rng& rng)
      : store(make_store(dim, metric)), vectors(uniform_vectors(rng, count, dim)) {
    for (std::size_t i = 0; i < count; ++i) store->write(store->allocate().value(), vectors[i]);
  }

  void keep(Slot slot) { REQUIRE(stored.insert(slot).has_value()); }

  Sections save() const {
    Sections sections;
    MemorySectionWriter writer(sections);
    REQUIRE(store->save(writer, stored).has_value());
    return sections;
  }

  std::unique_ptr<VectorStore> store;
  Vectors vectors;
  SlotSet stored;
};

Status load(VectorStore& store, const Sections& sections, const SlotSet& stored) {
  MemorySectionReader reader(sections);
  return store.load(reader, stored);
}

/// Enough slots for two blocks and a bit, if that is not too many.
std::size_t some_slots(std::size_t dim) {
  const std::size_t block = make_store(dim)->run_length(0);
  return dim < 100 ? block + 100 : 2 * block + 3;
}

TEST_CASE("core/vector_store: what is saved is loaded, and the store goes on from there") {
  auto rng = test::make_rng(40);
  for (const std::size_t dim : {1U, 3U, 100U, 513U, 10'000U, 65'536U}) {
    for (const Metric metric : {Metric::kL2, Metric::kCosine}) {
      CAPTURE(dim);
      CAPTURE(metric_name(metric));
      Filled filled(dim, metric, some_slots(dim), rng);
      const auto count = static_cast<Slot>(filled.vectors.count());
      for (Slot slot = 0; slot < count - 1; ++slot) {
        if (slot % 3 != 1) filled.keep(slot);
      }
      const Slot end = filled.stored.end();
      const Sections sections = filled.save();

      const auto loaded = make_store(dim, metric);
      REQUIRE(load(*loaded, sections, filled.stored).has_value());
      CHECK(loaded->slot_end() == end);
      CHECK(loaded->live() == filled.stored.size());
      filled.stored.for_each(0, end, [&](Slot slot) {
        const bool same =
            std::memcmp(loaded->row(slot), filled.store->row(slot), loaded->row_bytes()) == 0;
        if (!same || !loaded->holds(slot, filled.vectors[slot])) FAIL("slot " << slot);
      });

      // Free slots come first, then new ones, in the rest of the last block and beyond.
      std::set<Slot> taken;
      const std::size_t more =
          end - filled.stored.size() + 2 * (kHugePage / loaded->row_bytes()) / 3;
      for (std::size_t i = 0; i < more; ++i) {
        const Slot slot = loaded->allocate().value();
        if (filled.stored.contains(slot) || !taken.insert(slot).second) FAIL("slot " << slot);
        loaded->write(slot, filled.vectors[i % count]);
        if (!loaded->holds(slot, filled.vectors[i % count])) FAIL("slot " << slot);
      }
      CHECK(*taken.begin() < end);
      CHECK(*taken.rbegin() == loaded->slot_end() - 1);
      loaded->write(0, filled.vectors[1]);
      CHECK(loaded->holds(0, filled.vectors[1]));
      CHECK_FALSE(loaded->holds(0, filled.vectors[0]));
      CHECK(sections == filled.save());  // the source knows nothing of it
    }
  }
}

TEST_CASE("core/vector_store: codes are saved as they lie, and read as they lay in whole lines") {
  auto rng = test::make_rng(45);
  for (const Metric metric : {Metric::kL2, Metric::kCosine}) {
    for (const std::size_t count : {3U, 9000U}) {
      CAPTURE(count);
      const std::size_t dim = 128;
      const auto store = VectorStore::create(dim, metric, Element::kSq4).value();
      const Vectors vectors = uniform_vectors(rng, count, dim);
      SlotSet stored;
      for (std::size_t i = 0; i < count; ++i) {
        store->write(store->allocate().value(), vectors[i]);
        REQUIRE(stored.insert(static_cast<Slot>(i)).has_value());
      }
      Sections sections;
      MemorySectionWriter writer(sections);
      REQUIRE(store->save(writer, stored).has_value());
      REQUIRE(sections.count("store.codes") == 1);
      REQUIRE(sections.count("store.rows") == 0);

      Sections former = sections;
      const auto codes = former.at("store.codes");
      former.erase("store.codes");
      const std::size_t bytes = store->row_bytes();
      const std::size_t whole = whole_line_row_bytes(Element::kSq4, metric, dim);
      REQUIRE(bytes < whole);
      const std::size_t head = bytes - header_bytes(metric);
      auto& rows = former["store.rows"];
      rows.resize(count * whole);
      for (std::size_t i = 0; i < count; ++i) {
        std::memcpy(&rows[i * whole], &codes[i * bytes], head);
        std::memcpy(&rows[(i + 1) * whole - header_bytes(metric)], &codes[i * bytes + head],
                    header_bytes(metric));
      }
      for (const Sections* const each : {&sections, &former}) {
        const auto loaded = VectorStore::create(dim, metric, Element::kSq4).value();
        REQUIRE(load(*loaded, *each, stored).has_value());
        for (std::size_t i = 0; i < count; ++i) {
          if (!loaded->holds(static_cast<Slot>(i), vectors[i])) FAIL("slot " << i);
        }
      }
      rows.pop_back();
      const auto loaded = VectorStore::create(dim, metric, Element::kSq4).value();
      CHECK(load(*loaded, former, stored).error().code == ErrorCode::kDataLoss);
    }
  }
}

TEST_CASE("core/vector_store: an empty store is saved and loaded") {
  auto rng = test::make_rng(41);
  const Filled filled(5, Metric::kL2, 3, rng);
  const auto loaded = make_store(5);
  REQUIRE(load(*loaded, filled.save(), filled.stored).has_value());
  CHECK(loaded->slot_end() == 0);
  CHECK(loaded->allocate().value() == 0);
}

TEST_CASE("core/vector_store: every block of a section starts on a page") {
  auto rng = test::make_rng(42);
  constexpr std::size_t kDim = 10'000;  // 32 rows of it are no whole number of pages
  Filled filled(kDim, Metric::kL2, 34, rng);
  const std::size_t block = filled.store->run_length(0);
  REQUIRE(block == 32);
  REQUIRE(block * filled.store->row_bytes() % kPageBytes != 0);
  filled.keep(33);
  const auto rows = filled.save().at("store.rows");
  const std::size_t second = round_up(block * filled.store->row_bytes(), kPageBytes);
  CHECK(rows.size() == second + 2 * filled.store->row_bytes());
  CHECK(std::memcmp(&rows[second + filled.store->row_bytes()], filled.store->row(33),
                    filled.store->row_bytes()) == 0);
}

TEST_CASE("core/vector_store: holds compares every bit of row and factor") {
  const auto store = make_store(3, Metric::kCosine);
  const Slot slot = store->allocate().value();
  const std::vector<float> vector{3, 0, 4};
  store->write(slot, vector);
  CHECK(store->holds(slot, vector));
  CHECK_FALSE(store->holds(slot, std::vector<float>{6, 0, 8}));  // another length alone
  CHECK_FALSE(store->holds(slot, std::vector<float>{3, -0.0F, 4}));
  CHECK_FALSE(store->holds(slot, std::vector<float>{4, 0, 3}));
}

TEST_CASE("core/vector_store: sections of another size than the slots need are refused") {
  auto rng = test::make_rng(43);
  Filled filled(7, Metric::kDot, 40, rng);
  for (Slot slot = 10; slot < 30; ++slot) filled.keep(slot);
  const Sections sound = filled.save();
  for (const char* const name : {"store.rows", "store.factors"}) {
    CAPTURE(name);
    Sections damaged = sound;
    damaged.erase(name);
    CHECK(load(*make_store(7), damaged, filled.stored).error().code == ErrorCode::kDataLoss);
    damaged = sound;
    damaged[name].pop_back();
    CHECK(load(*make_store(7), damaged, filled.stored).error().code == ErrorCode::kDataLoss);
    damaged[name].resize(sound.at(name).size() + 4096);
    CHECK(load(*make_store(7), damaged, filled.stored).error().code == ErrorCode::kDataLoss);
  }
  filled.keep(30);
  CHECK(load(*make_store(7), sound, filled.stored).error().code == ErrorCode::kDataLoss);
  const SlotSet none;
  CHECK(load(*make_store(7), sound, none).error().code == ErrorCode::kDataLoss);
}

TEST_CASE("core/vector_store: a store is saved while its owner writes other slots") {
  auto rng = test::make_rng(44);
  Filled filled(100, Metric::kL2, 6000, rng);  // two blocks
  for (Slot slot = 0; slot < 6000; slot += 2) filled.keep(slot);
  const Sections before = filled.save();
  std::thread owner([&] {
    for (std::size_t i = 0; i < 6000; ++i) {
      const auto odd = static_cast<Slot>(i | 1);
      filled.store->write(odd, filled.vectors[i]);
      filled.store->release(odd);
      if (i % 2 == 0) filled.store->write(filled.store->allocate().value(), filled.vectors[i]);
      filled.store->write(filled.store->allocate().value(), filled.vectors[i]);
    }
  });
  for (int round = 0; round < 3; ++round) CHECK(filled.save() == before);
  owner.join();
}

}  // namespace
}  // namespace engram::vector_store_sections_test
