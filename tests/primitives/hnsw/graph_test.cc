// SPDX-License-Identifier: Apache-2.0
#include "primitives/hnsw/graph.h"

#include <doctest/doctest.h>

#include <vector>

namespace engram::hnsw {
namespace {

std::vector<Slot> slots_of(const LinkList& links) {
  std::vector<Slot> slots;
  links.for_each([&](Slot slot) { slots.push_back(slot); });
  return slots;
}

TEST_CASE("hnsw/graph: a new node has empty lists of the right size on all of its levels") {
  Graph graph(4);
  REQUIRE(graph.reserve());
  REQUIRE(graph.add_node(1000, 3));
  CHECK(graph.level(1000) == 3);
  CHECK(graph.node_end() == 1001);
  CHECK(graph.links(1000, 0).capacity() == 8);
  CHECK(graph.links(1000, 3).capacity() == 4);
  for (unsigned level = 0; level <= 3; ++level) CHECK(graph.links(1000, level).size() == 0);
}

TEST_CASE("hnsw/graph: lists grow by append, shrink by assign, and end when full") {
  Graph graph(2);
  REQUIRE(graph.reserve());
  REQUIRE(graph.add_node(5, 1));
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
  REQUIRE(graph.reserve());
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
}  // namespace engram::hnsw
