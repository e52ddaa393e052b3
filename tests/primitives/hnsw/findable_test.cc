// SPDX-License-Identifier: Apache-2.0
// Whether items are found by a search for themselves, whatever the order in which they came.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "core/hash.h"
#include "primitives/shared/hnsw/structure.h"
#include "tests/primitives/hnsw/graphs.h"
#include "tests/support/memory_sections.h"
#include "tests/support/seed.h"
#include "tests/support/test_collection.h"
#include "tests/support/vectors.h"

namespace engram::hnsw::findable_test {
namespace {

using test::check_lists;
using test::graph_of;
using test::hnsw;
using test::Rng;
using test::TestCollection;
using test::uniform_vectors;
using test::unreachable;
using test::Vectors;

/// `count` clusters of `size`, one after the other: normal around normal centres.
Vectors clusters_in_order(Rng& rng, std::size_t count, std::size_t size, std::size_t dim) {
  std::normal_distribution<float> normal;
  Vectors vectors{dim, {}};
  std::vector<float> centre(dim);
  for (std::size_t i = 0; i < count * size; ++i) {
    if (i % size == 0) std::generate(centre.begin(), centre.end(), [&] { return normal(rng); });
    for (const float component : centre) vectors.values.push_back(component + 0.15F * normal(rng));
  }
  return vectors;
}

/// How many items a search for themselves with the defaults does not find.
std::size_t lost(TestCollection& collection) {
  std::vector<float> item(collection.store().dim());
  std::size_t count = 0;
  for (const Slot slot : collection.held()) {
    collection.store().read(slot, item);
    count += collection.search(item, 1).front().slot != slot;
  }
  return count;
}

TEST_CASE("hnsw/findable: items that come cluster by cluster find themselves" *
          doctest::test_suite("long")) {
  for (const char* const quant : {"f32", "sq8", "sq4"}) {
    for (const std::uint64_t seed : {2U, 19U}) {  // of which most used to be lost
      CAPTURE(quant);
      CAPTURE(seed);
      Rng rng(seed);
      TestCollection collection(hnsw(), Metric::kL2, 64, {{"QUANT", quant}});
      collection.add_all(clusters_in_order(rng, 200, 50, 64));
      CHECK(lost(collection) <= 1);
      CHECK(unreachable(collection) == 0);
    }
  }
}

TEST_CASE(
    "hnsw/findable: a region has a node on level 1, and one that is loaded is found as before") {
  Rng rng(5);
  TestCollection collection(hnsw(), Metric::kL2, 32,
                            {{"EF_CONSTRUCTION", "50"}, {"EF_SEARCH", "8"}});
  constexpr std::size_t kSize = 20;
  collection.add_all(clusters_in_order(rng, 80, kSize, 32));
  const Graph& graph = graph_of(collection);
  std::size_t without = 0;
  for (std::size_t first = 20 * kSize; first < collection.held().size(); first += kSize) {
    std::size_t raised = 0;
    for (std::size_t i = 0; i < kSize; ++i) raised += graph.level(static_cast<Slot>(first + i)) > 0;
    without += raised == 0;
  }
  CHECK(without <= 1);
  const std::size_t before = lost(collection);
  CHECK(before <= 5);
  const auto saved = collection.save();
  REQUIRE(collection.restore(*saved).has_value());
  CHECK(lost(collection) == before);
}

Header header_of(const test::Saved& saved) {
  Header header;
  std::memcpy(&header, saved.index.at(std::string(kHeaderSection)).data(), sizeof header);
  return header;
}

TEST_CASE("hnsw/findable: what comes by regions does so still when it is loaded and has grown") {
  Rng rng(6);
  TestCollection collection(hnsw(), Metric::kL2, 32,
                            {{"EF_CONSTRUCTION", "50"}, {"EF_SEARCH", "8"}});
  const Vectors vectors = clusters_in_order(rng, 80, 20, 32);
  collection.add_all(vectors);
  const std::size_t before = lost(collection);
  const auto saved = collection.save();
  REQUIRE((header_of(*saved).quant & kByRegions) != 0);
  REQUIRE(collection.restore(*saved).has_value());
  std::normal_distribution<float> noise(0, 0.1F);
  for (std::size_t i = 0; i < 1100; ++i) {  // of regions that are there
    std::vector<float> near(vectors[i].begin(), vectors[i].end());
    for (float& component : near) component += noise(rng);
    collection.add(near);
  }
  CHECK(lost(collection) <= before + 5);
  CHECK((header_of(*collection.save()).quant & kByRegions) != 0);
}

TEST_CASE("hnsw/findable: a second look makes no answer worse") {
  Rng rng(7);
  constexpr std::size_t kDim = 32;
  TestCollection collection(hnsw(), Metric::kL2, kDim,
                            {{"EF_CONSTRUCTION", "50"}, {"EF_SEARCH", "8"}});
  collection.add_all(clusters_in_order(rng, 200, 8, kDim));
  const auto saved = collection.save();
  const Vectors queries = clusters_in_order(rng, 1500, 1, kDim);
  const auto answers = [&] {
    std::vector<std::vector<Hit>> found;
    for (std::size_t i = 0; i < queries.count(); ++i) {
      found.push_back(collection.search(queries[i], {.k = 8, .ef = 8}));
    }
    return found;
  };
  const auto twice = answers();
  Header header = header_of(*saved);
  header.quant &= ~kByRegions;
  std::memcpy(saved->index[std::string(kHeaderSection)].data(), &header, sizeof header);
  REQUIRE(collection.restore(*saved).has_value());
  const auto once = answers();
  std::size_t better = 0;
  std::size_t worse = 0;
  for (std::size_t i = 0; i < queries.count(); ++i) {
    for (std::size_t j = 0; j < 8; ++j) {
      better += twice[i][j].score < once[i][j].score;
      worse += twice[i][j].score > once[i][j].score;
    }
  }
  CHECK(better > 0);
  CHECK(worse == 0);
}

TEST_CASE("hnsw/findable: clusters are found after others were replaced") {
  Rng rng(4);
  // Of so narrow a beam that searches walk.
  TestCollection collection(hnsw(), Metric::kL2, 32,
                            {{"EF_CONSTRUCTION", "100"}, {"EF_SEARCH", "13"}});
  const Vectors vectors = clusters_in_order(rng, 40, 40, 32);
  std::vector<Slot> slots;
  for (std::size_t i = 0; i < vectors.count(); ++i) slots.push_back(collection.add(vectors[i]));
  for (std::size_t i = 0; i < vectors.count(); i += 2) collection.erase(slots[i]);
  collection.reclaim();
  check_lists(collection);
  CHECK(lost(collection) == 0);
  CHECK(unreachable(collection) == 0);
  for (std::size_t i = 0; i < vectors.count(); i += 2) collection.add(vectors[i]);
  CHECK(lost(collection) <= 1);
  CHECK(unreachable(collection) == 0);
}

TEST_CASE("hnsw/findable: an outpost that becomes the entry point keeps its links, as others do") {
  Rng rng = test::make_rng(99);
  TestCollection collection(hnsw(), Metric::kL2, 8);
  collection.add_all(clusters_in_order(rng, 1, 400, 8));
  std::uint64_t highest = 0;  // of the default seed
  while (unit_interval(mix(highest ^ 42)) > 1e-6) ++highest;
  const Slot outpost = collection.store().allocate().value();
  collection.store().write(outpost, std::vector<float>(8, 100));
  const Insertion item{.slot = outpost, .identity = highest};
  REQUIRE(collection.index().insert(item, collection.scratch()).has_value());
  const Graph& graph = graph_of(collection);
  REQUIRE(graph.entry().slot == outpost);
  std::size_t kept = 0;
  graph.links(outpost, 0).for_each_kept([&](Slot /*slot*/) { ++kept; });
  CHECK(kept == graph.capacity(0) / 4);
}

TEST_CASE("hnsw/findable: a sample of items is looked for where searches with the defaults walk") {
  Rng rng = test::make_rng(101);
  TestCollection collection(hnsw(), Metric::kL2, 4, {{"EF_SEARCH", "8"}});
  const auto unfound = [&] {
    for (const Fact& fact : collection.index().describe()) {
      if (fact.name == "unfound-items") return fact.value;
    }
    return std::string();
  };
  collection.add_all(uniform_vectors(rng, 200, 4));
  CHECK(unfound() == "0/0");
  collection.add_all(uniform_vectors(rng, 600, 4));
  CHECK(unfound().ends_with("/100"));
}

TEST_CASE("hnsw/findable: lists that a damaged file marks as kept throughout are rewritten") {
  Rng rng = test::make_rng(97);
  TestCollection collection(hnsw(), Metric::kL2, 16, {{"M", "4"}, {"EF_CONSTRUCTION", "20"}});
  collection.add_all(clusters_in_order(rng, 20, 20, 16));
  const auto saved = collection.save();
  auto& base = saved->index["hnsw.base"];
  for (std::size_t i = 3; i < base.size(); i += sizeof(Slot)) base[i] |= std::byte{0x80};
  REQUIRE(collection.restore(*saved).has_value());
  collection.add_all(clusters_in_order(rng, 20, 20, 16));
  for (Slot slot = 0; slot < 200; ++slot) collection.erase(slot);
  collection.reclaim();
  check_lists(collection);
}

}  // namespace
}  // namespace engram::hnsw::findable_test
