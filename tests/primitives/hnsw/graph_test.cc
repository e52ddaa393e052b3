// SPDX-License-Identifier: Apache-2.0
#include "primitives/shared/hnsw/graph.h"

#include <doctest/doctest.h>

#include <span>
#include <vector>

#include "tests/primitives/hnsw/graphs.h"
#include "tests/support/memory_sections.h"
#include "tests/support/vectors.h"

namespace engram::hnsw::graph_test {
namespace {

using test::graph_of;
using test::hnsw;
using test::Rng;
using test::TestCollection;
using test::uniform_vectors;
using test::Vectors;

std::vector<Slot> slots_of(const LinkList& links) {
  std::vector<Slot> slots;
  links.for_each([&](Slot slot) { slots.push_back(slot); });
  return slots;
}

TEST_CASE("hnsw/graph: a new node has empty lists of the right size on all of its levels") {
  Graph graph(4);
  REQUIRE(graph.add_node(1000, 3));
  CHECK(graph.level(1000) == 3);
  CHECK(graph.node_end() == 1001);
  CHECK(graph.links(1000, 0).capacity() == 8);
  CHECK(graph.links(1000, 3).capacity() == 4);
  for (unsigned level = 0; level <= 3; ++level) CHECK(graph.links(1000, level).size() == 0);
}

TEST_CASE("hnsw/graph: lists grow by append, shrink by assign, and end when full") {
  Graph graph(2);
  REQUIRE(graph.add_node(5, 1));
  REQUIRE(graph.add_node(20, 0));
  LinkList links = graph.links(5, 0);
  for (Slot slot = 0; slot < 4; ++slot) links.append(slot, 10 + slot);
  CHECK(slots_of(links) == std::vector<Slot>{10, 11, 12, 13});
  links.assign(std::vector<Hit>{{0, 7}, {1, 8}});
  CHECK(slots_of(links) == std::vector<Slot>{7, 8});
  links.append(2, 9);
  CHECK(slots_of(links) == std::vector<Slot>{7, 8, 9});
  CHECK(graph.links(5, 1).size() == 0);
}

TEST_CASE("hnsw/graph: a slot that is used again gets empty lists of its new levels") {
  Graph graph(2);
  REQUIRE(graph.add_node(0, 2));
  graph.links(0, 2).append(0, 1);
  const std::size_t with_levels = graph.memory_bytes();
  for (const unsigned level : {2U, 5U, 0U, 1U}) {
    REQUIRE(graph.add_node(0, level));
    CHECK(graph.level(0) == level);
    for (unsigned l = 0; l <= level; ++l) CHECK(graph.links(0, l).size() == 0);
  }
  CHECK(graph.memory_bytes() < with_levels);  // one level now, two before
}

TEST_CASE("hnsw/graph: a list is marked as selected level by level, until its slot is used again") {
  Graph graph(2);
  REQUIRE(graph.add_node(3, kMaxLevel));
  for (const unsigned level : {0U, 5U, kMaxLevel}) {
    CHECK_FALSE(graph.is_selected(3, level));
    graph.mark_selected(3, level, true);
  }
  graph.mark_selected(3, 5, false);
  CHECK(graph.is_selected(3, 0));
  CHECK_FALSE(graph.is_selected(3, 5));
  CHECK(graph.is_selected(3, kMaxLevel));
  REQUIRE(graph.add_node(3, kMaxLevel));
  CHECK_FALSE(graph.is_selected(3, 0));
  CHECK_FALSE(graph.is_selected(3, kMaxLevel));
}

TEST_CASE("hnsw/graph: links beyond the last node are passed over, and keep their places") {
  Graph graph(2);
  REQUIRE(graph.add_node(5, 0));
  LinkList links = graph.links(5, 0);
  for (const Slot slot : {Slot{6}, Slot{3}, Slot{kNoSlot - 1}}) links.append(links.size(), slot);
  CHECK(slots_of(graph.links(5, 0)) == std::vector<Slot>{3});
  CHECK(graph.links(5, 0).size() == 3);
  REQUIRE(graph.add_node(6, 0));
  CHECK(slots_of(graph.links(5, 0)) == std::vector<Slot>{6, 3});
}

TEST_CASE("hnsw/graph: retain keeps the order of what stays") {
  Graph graph(3);
  REQUIRE(graph.add_node(20, 0));
  LinkList links = graph.links(20, 0);
  for (Slot slot = 0; slot < 6; ++slot) links.append(slot, slot);
  links.retain([](Slot slot) { return slot % 2 == 1; });
  CHECK(slots_of(links) == std::vector<Slot>{1, 3, 5});
  links.retain([](Slot) { return true; });
  CHECK(links.size() == 3);
  links.retain([](Slot) { return false; });
  CHECK(links.size() == 0);
  CHECK(links[5] == kNoSlot);
}

/// Sections of slots, as bytes.
std::vector<std::byte> bytes_of(const std::vector<Slot>& slots) {
  const auto bytes = std::as_bytes(std::span(slots));
  return {bytes.begin(), bytes.end()};
}

TEST_CASE("hnsw/graph: adopted lists are as they were saved, and are replaced like others") {
  const std::vector<std::byte> levels{std::byte{1}, std::byte{kNoNode}, std::byte{2}, std::byte{0}};
  std::vector<Slot> base(4 * 4, kNoSlot);
  base[0] = 2;      // node 0
  base[2 * 4] = 0;  // node 2
  base[2 * 4 + 1] = 3;
  test::Sections sections;
  sections["base"] = bytes_of(base);
  const std::vector<std::byte> upper = bytes_of({2, kNoSlot, 0, kNoSlot, kNoSlot, kNoSlot});
  test::MemorySectionReader reader(sections);

  Graph graph(2);
  REQUIRE(graph.adopt(reader, "base", levels, upper, 4));
  CHECK(graph.node_end() == 4);
  CHECK(graph.level(0) == 1);
  CHECK(graph.level(1) == 0);
  CHECK(graph.level(2) == 2);
  CHECK(slots_of(graph.links(0, 0)) == std::vector<Slot>{2});
  CHECK(slots_of(graph.links(2, 0)) == std::vector<Slot>{0, 3});
  CHECK(slots_of(graph.links(0, 1)) == std::vector<Slot>{2});
  CHECK(slots_of(graph.links(2, 1)) == std::vector<Slot>{0});
  CHECK(graph.links(2, 2).size() == 0);
  graph.links(0, 1).append(1, 0);  // beside, not into, the lists of node 2
  CHECK(slots_of(graph.links(2, 1)) == std::vector<Slot>{0});

  const std::size_t adopted = graph.memory_bytes();
  for (const unsigned level : {3U, 0U, 1U}) {
    REQUIRE(graph.add_node(2, level));
    for (unsigned l = 0; l <= level; ++l) CHECK(graph.links(2, l).size() == 0);
    CHECK(graph.memory_bytes() == adopted + level * 2 * sizeof(Slot));
  }
  REQUIRE(graph.add_node(1000, 1));
  CHECK(slots_of(graph.links(0, 1)) == std::vector<Slot>{2, 0});

  Graph other(2);
  CHECK(other.adopt(reader, "base", std::span(levels).first(3), upper, 3).error().code ==
        ErrorCode::kDataLoss);
}

TEST_CASE("hnsw/graph: the links that are told are the graph's, without what was erased") {
  Rng rng(13);
  TestCollection collection(hnsw(), Metric::kL2, 8, {{"M", "4"}});
  const Vectors vectors = uniform_vectors(rng, 600, 8);
  for (std::size_t i = 0; i < 100; ++i) collection.add(vectors[i]);
  CHECK(collection.index().links(0).empty());  // so few are scanned
  for (std::size_t i = 100; i < 600; ++i) collection.add(vectors[i]);
  const Graph& graph = graph_of(collection);
  for (Slot slot = 0; slot < 300; slot += 2) collection.erase(slot);
  std::size_t wrong = 0;
  for (const Slot node : collection.held()) {
    const auto levels = collection.index().links(node);
    REQUIRE(levels.size() == graph.level(node) + 1);
    for (unsigned level = 0; level < levels.size(); ++level) {
      std::vector<Slot> expected;
      graph.links(node, level).for_each([&](Slot slot) {
        if (collection.held().contains(slot)) expected.push_back(slot);
      });
      wrong += levels[level] != expected;
    }
  }
  CHECK(wrong == 0);
  collection.reclaim();
  CHECK(collection.index().links(0).empty());
}

TEST_CASE("hnsw/graph: the entry point is one word, empty at first") {
  Graph graph(2);
  CHECK(graph.entry().slot == kNoSlot);
  graph.set_entry({Slot{kMaxSlots - 1}, kMaxLevel});
  CHECK(graph.entry().slot == kMaxSlots - 1);
  CHECK(graph.entry().level == kMaxLevel);
}

TEST_CASE("hnsw/graph: at M = 16 a list of level 0 is two cache lines") {
  Graph graph(16);
  CHECK(graph.capacity(0) * sizeof(std::atomic<Slot>) == 128);
}

}  // namespace
}  // namespace engram::hnsw::graph_test
