// SPDX-License-Identifier: Apache-2.0
// Sections that are not what was saved. Those that are read may only give an error or a working
// index. Those that are placed are not verified when they are first used: they may hold anything,
// and the answers may be wrong, but nothing worse. Run these under AddressSanitizer.
#include <algorithm>
#include <cstring>
#include <string>

#include "tests/primitives/conformance/conformance.h"

namespace engram::test::damage_test {
namespace {

constexpr std::size_t kDim = 6;

/// A collection, what was saved of it, and an erased slot among it.
struct Specimen {
  Specimen(const Variant& variant, Metric metric, Rng& rng)
      : collection(make_collection(variant, metric, kDim)) {
    collection.add_all(uniform_vectors(rng, 300, kDim));
    for (Slot slot = 0; slot < 60; slot += 2) collection.erase(slot);
    saved = collection.save();
  }

  /// Loads a fresh index, over the sound rows of the collection.
  Status load(Index& index, const Sections& sections) const {
    MemorySectionReader reader(sections);
    return index.load(reader, saved->items);
  }

  TestCollection collection;
  std::unique_ptr<Saved> saved;
};

template <class Test>
void on_every_specimen(std::uint64_t stream, Test&& test) {
  on_every_primitive([&](const Variant& variant, Metric metric) {
    if (!variant.primitive.traits.saves_structure) return;
    Rng rng = make_rng(stream);
    Specimen specimen(variant, metric, rng);
    test(specimen, rng);
  });
}

/// Uses an index as hard as a test can without knowing what it is like inside.
void exercise(Index& index, Specimen& specimen, Rng& rng) {
  TestCollection& collection = specimen.collection;
  Scratch scratch;
  std::vector<Hit> hits;
  const auto search = [&] {
    for (const std::size_t k : {1U, 10U, 1000U}) {
      const Vectors query = uniform_vectors(rng, 1, kDim);
      const Status searched = index.search(collection.prepare(query[0]), {.k = k}, scratch, hits);
      CHECK(searched.has_value());
      CHECK(hits.size() <= std::min(k, index.size()));
      CHECK(std::is_sorted(hits.begin(), hits.end()));
    }
  };
  search();
  for (int i = 0; i < 3; ++i) {
    const Slot slot = collection.store().allocate().value();  // never one that it may hold already
    collection.store().write(slot, uniform_vectors(rng, 1, kDim)[0]);
    if (const Status inserted = index.insert({slot, rng()}, scratch)) index.erase(slot, scratch);
  }
  if (collection.primitive().traits.deferred_reclaim) {
    const std::vector<Slot> erased{0, 2, 4, 58};
    CHECK(index.reclaim(erased, scratch).has_value());
  }
  search();
}

/// A fresh index takes the sections and works, or says that they are damaged.
void check_harmless(Specimen& specimen, const Sections& sections, Rng& rng) {
  const auto index = specimen.collection.make_index();
  const Status loaded = specimen.load(*index, sections);
  if (loaded) {
    exercise(*index, specimen, rng);
  } else {
    CHECK(loaded.error().code == ErrorCode::kDataLoss);
    CHECK_FALSE(loaded.error().message.empty());
  }
}

TEST_CASE("primitives/conformance: a missing, cut or lengthened section is refused") {
  on_every_specimen(61, [](Specimen& specimen, Rng& /*rng*/) {
    const Sections& sound = specimen.saved->index;
    const auto refuses = [&](const Sections& damaged) {
      const auto index = specimen.collection.make_index();
      return specimen.load(*index, damaged).error().code == ErrorCode::kDataLoss;
    };
    for (const auto& [section, bytes] : sound) {
      const std::string& name = section;  // CAPTURE's lambda cannot take a structured binding
      CAPTURE(name);
      Sections damaged = sound;
      damaged.erase(name);
      CHECK(refuses(damaged));
      damaged = sound;
      damaged[name].push_back(std::byte{1});
      CHECK(refuses(damaged));
      damaged[name].resize(bytes.size() + 4096);
      CHECK(refuses(damaged));
      if (bytes.empty()) continue;
      damaged = sound;
      damaged[name].pop_back();
      CHECK(refuses(damaged));
    }
  });
}

TEST_CASE("primitives/conformance: an item that the store does not have is refused") {
  on_every_specimen(62, [](Specimen& specimen, Rng& /*rng*/) {
    const auto index = specimen.collection.make_index();
    REQUIRE(specimen.saved->items.insert(specimen.collection.store().slot_end()).has_value());
    CHECK(specimen.load(*index, specimen.saved->index).error().code == ErrorCode::kDataLoss);
  });
}

TEST_CASE("primitives/conformance: flipped bits give an error or a working index") {
  on_every_specimen(63, [](Specimen& specimen, Rng& rng) {
    const Sections& sound = specimen.saved->index;
    for (const auto& [name, bytes] : sound) {
      for (int round = 0; round < 60 && !bytes.empty(); ++round) {
        Sections damaged = sound;
        const std::size_t flips = 1 + rng() % 3;
        for (std::size_t i = 0; i < flips; ++i) {
          damaged[name][rng() % bytes.size()] ^= static_cast<std::byte>(1U << (rng() % 8));
        }
        check_harmless(specimen, damaged, rng);
      }
    }
  });
}

/// Fills `bytes` with 32-bit numbers below `end`, or any.
void fill_with_numbers(std::vector<std::byte>& bytes, std::uint32_t end, Rng& rng) {
  for (std::size_t i = 0; i + sizeof end <= bytes.size(); i += sizeof end) {
    const auto number = static_cast<std::uint32_t>(end == 0 ? rng() : rng() % end);
    std::memcpy(&bytes[i], &number, sizeof number);
  }
}

TEST_CASE("primitives/conformance: a placed section may hold anything") {
  on_every_specimen(64, [](Specimen& specimen, Rng& rng) {
    const Sections& sound = specimen.saved->index;
    MemorySectionReader reader(sound);
    REQUIRE(specimen.collection.make_index()->load(reader, specimen.saved->items).has_value());
    for (const std::string& name : reader.placed()) {
      CAPTURE(name);
      // Any number at all, those of slots, those of slots and some more, the same everywhere
      for (const std::uint32_t end : {0U, 300U, 310U, 2U}) {
        Sections damaged = sound;
        fill_with_numbers(damaged[name], end, rng);
        check_harmless(specimen, damaged, rng);
      }
      for (const std::byte byte : {std::byte{0x00}, std::byte{0xFF}, std::byte{0x7F}}) {
        Sections damaged = sound;
        std::fill(damaged[name].begin(), damaged[name].end(), byte);
        check_harmless(specimen, damaged, rng);
      }
    }
  });
}

TEST_CASE("primitives/conformance: rows may hold anything, infinities and NaN among them") {
  on_every_specimen(65, [](Specimen& specimen, Rng& rng) {
    const Sections sound = specimen.saved->store;
    for (int round = 0; round < 8; ++round) {
      auto& rows = specimen.saved->store["store.rows"] = sound.at("store.rows");
      if (round == 0) std::fill(rows.begin(), rows.end(), std::byte{0xFF});  // NaN everywhere
      if (round == 1) fill_with_numbers(rows, 0, rng);
      for (int i = 0; round > 1 && i < 50; ++i) {  // an infinity or a NaN here and there
        const std::uint32_t bits = rng() % 2 == 0 ? 0x7F800000 : 0xFFC00000 | (rng() & 0xFF);
        std::memcpy(&rows[rng() % (rows.size() / sizeof bits) * sizeof bits], &bits, sizeof bits);
      }
      REQUIRE(specimen.collection.restore(*specimen.saved).has_value());
      exercise(specimen.collection.index(), specimen, rng);
    }
  });
}

}  // namespace
}  // namespace engram::test::damage_test
