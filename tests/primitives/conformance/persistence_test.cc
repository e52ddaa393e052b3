// SPDX-License-Identifier: Apache-2.0
// Saving and loading, sound and damaged.
#include <string>

#include "tests/primitives/conformance/conformance.h"
#include "tests/support/memory_sections.h"

namespace engram::test {
namespace {

Sections save(Index& index) {
  Sections sections;
  MemorySectionWriter writer(sections);
  const Status saved = index.save(writer);
  REQUIRE(saved.has_value());
  return sections;
}

Status load(Index& index, const Sections& sections) {
  MemorySectionReader reader(sections);
  return index.load(reader);
}

/// A collection with a history: slots that were erased and used again.
void fill(TestCollection& collection, Rng& rng, std::size_t count) {
  const std::size_t dim = collection.store().dim();
  collection.add_all(uniform_vectors(rng, count, dim));
  for (Slot slot = 0; slot < count; slot += 5) collection.erase(slot);
  collection.reclaim();
  collection.add_all(uniform_vectors(rng, (count + 4) / 5, dim));
}

TEST_CASE("primitives/conformance: a loaded index gives the answers of the saved one") {
  on_every_primitive([](const Primitive& primitive, Metric metric) {
    if (!primitive.traits.saves_structure) return;
    Rng rng = make_rng(21);
    for (const std::size_t count : {0U, 1U, 2U, 1000U}) {
      CAPTURE(count);
      TestCollection collection(primitive, metric, 10);
      fill(collection, rng, count);
      const Vectors queries = uniform_vectors(rng, 30, 10);
      std::vector<std::vector<Hit>> before;
      for (std::size_t i = 0; i < 30; ++i) before.push_back(collection.search(queries[i], 10));

      const Sections sections = save(collection.index());
      collection.replace_index(collection.make_index());
      const Status loaded = load(collection.index(), sections);
      REQUIRE(loaded.has_value());
      CHECK(collection.index().size() == collection.held().size());
      for (std::size_t i = 0; i < 30; ++i) CHECK(collection.search(queries[i], 10) == before[i]);
      CHECK(save(collection.index()) == sections);

      collection.add_all(uniform_vectors(rng, 200, 10));
      check_search(collection, queries[0], 10);
    }
  });
}

TEST_CASE("primitives/conformance: erased slots are not part of what is loaded") {
  on_every_primitive([](const Primitive& primitive, Metric metric) {
    if (!primitive.traits.saves_structure) return;
    Rng rng = make_rng(22);
    TestCollection collection(primitive, metric, 10);
    collection.add_all(uniform_vectors(rng, 1000, 10));
    for (Slot slot = 0; slot < 500; ++slot) collection.erase(slot);  // and not reclaimed
    const Sections sections = save(collection.index());
    collection.replace_index(collection.make_index());
    REQUIRE(load(collection.index(), sections).has_value());
    const double floor = primitive.traits.exact ? 1 : kRecallFloor;
    CHECK(collection.recall(uniform_vectors(rng, 50, 10), {.k = 10}) >= floor);
    check_search(collection, uniform_vectors(rng, 1, 10)[0], 500);

    Scratch scratch;  // an erased slot is free for a new vector at once
    collection.store().write(3, uniform_vectors(rng, 1, 10)[0]);
    CHECK(collection.index().insert(3, 3, scratch).has_value());
  });
}

TEST_CASE("primitives/conformance: a missing, cut or lengthened section is refused") {
  on_every_primitive([](const Primitive& primitive, Metric metric) {
    if (!primitive.traits.saves_structure) return;
    Rng rng = make_rng(23);
    TestCollection collection(primitive, metric, 6);
    fill(collection, rng, 300);
    const Sections sound = save(collection.index());
    for (const auto& [section, bytes] : sound) {
      const std::string& name = section;  // CAPTURE's lambda cannot take a structured binding
      CAPTURE(name);
      Sections damaged = sound;
      damaged.erase(name);
      CHECK(load(*collection.make_index(), damaged).error().code == ErrorCode::kDataLoss);
      if (bytes.empty()) continue;
      damaged = sound;
      damaged[name].pop_back();
      CHECK(load(*collection.make_index(), damaged).error().code == ErrorCode::kDataLoss);
      damaged = sound;
      damaged[name].push_back(std::byte{1});
      CHECK(load(*collection.make_index(), damaged).error().code == ErrorCode::kDataLoss);
    }
  });
}

/// Uses an index as hard as a test can without knowing what it holds.
void exercise(Index& index, TestCollection& collection, Rng& rng) {
  Scratch scratch;
  std::vector<Hit> hits;
  for (const std::size_t k : {1U, 10U, 1000U}) {
    const Vectors query = uniform_vectors(rng, 1, collection.store().dim());
    const Status searched = index.search(collection.prepare(query[0]), {.k = k}, scratch, hits);
    if (searched) CHECK(hits.size() == std::min(k, index.size()));
  }
  const Slot slot = collection.store().allocate().value();  // never one that it may hold already
  collection.store().write(slot, uniform_vectors(rng, 1, collection.store().dim())[0]);
  const Status inserted = index.insert(slot, rng(), scratch);
  if (inserted) index.erase(slot, scratch);
}

TEST_CASE("primitives/conformance: flipped bits give an error or a working index") {
  on_every_primitive([](const Primitive& primitive, Metric metric) {
    if (!primitive.traits.saves_structure) return;
    Rng rng = make_rng(24);
    TestCollection collection(primitive, metric, 6);
    fill(collection, rng, 120);
    const Sections sound = save(collection.index());
    for (const auto& [name, bytes] : sound) {
      for (int round = 0; round < 60 && !bytes.empty(); ++round) {
        Sections damaged = sound;
        const std::size_t flips = 1 + rng() % 3;
        for (std::size_t i = 0; i < flips; ++i) {
          damaged[name][rng() % bytes.size()] ^= static_cast<std::byte>(1U << (rng() % 8));
        }
        const auto index = collection.make_index();
        const Status loaded = load(*index, damaged);
        if (loaded) {
          exercise(*index, collection, rng);
        } else {
          CHECK(loaded.error().code == ErrorCode::kDataLoss);
          CHECK_FALSE(loaded.error().message.empty());
        }
      }
    }
  });
}

TEST_CASE("primitives/conformance: who saves no structure says so") {
  on_every_primitive([](const Primitive& primitive, Metric metric) {
    if (primitive.traits.saves_structure) return;
    TestCollection collection(primitive, metric, 4);
    Sections sections;
    MemorySectionWriter writer(sections);
    CHECK(collection.index().save(writer).error().code == ErrorCode::kUnsupported);
    CHECK(load(collection.index(), sections).error().code == ErrorCode::kUnsupported);
  });
}

}  // namespace
}  // namespace engram::test
