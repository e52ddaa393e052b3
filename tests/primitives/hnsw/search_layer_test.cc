// SPDX-License-Identifier: Apache-2.0
#include "primitives/shared/hnsw/search_layer.h"

#include <doctest/doctest.h>

#include "tests/primitives/hnsw/fixture.h"

namespace engram::hnsw::search_layer_test {
namespace {

using test::Rows;
using test::Vectors;

struct CountingProbe {
  std::size_t hops = 0;
  std::size_t scores = 0;
  void expanded(Slot) { ++hops; }
  void scored(std::size_t count) { scores += count; }
};

/// The numbers 0..count-1, each linked with the next and the one before.
struct Chain {
  explicit Chain(Slot count) : graph(2), rows(numbers(count), Metric::kL2) {
    for (Slot slot = 0; slot < count; ++slot) {
      REQUIRE(graph.add_node(slot, 0));
      std::vector<Hit> links;
      if (slot > 0) links.push_back({0, slot - 1});
      if (slot + 1 < count) links.push_back({0, slot + 1});
      graph.links(slot, 0).assign(links);
    }
  }

  static Vectors numbers(Slot count) {
    Vectors vectors{1, {}};
    for (Slot i = 0; i < count; ++i) vectors.values.push_back(static_cast<float>(i));
    return vectors;
  }

  static std::vector<Slot> slots_of(std::span<const Hit> hits) {
    std::vector<Slot> slots;
    for (const Hit& hit : hits) slots.push_back(hit.slot);
    return slots;
  }

  template <class IsAnswer>
  std::vector<Slot> search(Slot query, Slot start, std::size_t ef, IsAnswer is_answer) {
    const Bound bound = rows.to(query);
    const Hit first{bound.score(start), start};
    probe = {};
    search_layer(graph, 0, bound, {&first, 1}, ef, rows.store->slot_end(), BySlot{}, is_answer,
                 beam, hits, probe);
    return slots_of(hits);
  }

  Graph graph;
  Rows rows;
  Beam beam;
  std::vector<Hit> hits;
  CountingProbe probe;
};

constexpr auto kAll = [](Slot) { return true; };

TEST_CASE("hnsw/search_layer: walks to the query and answers the nearest in order") {
  Chain chain(100);
  CHECK(chain.search(70, 0, 5, kAll) == std::vector<Slot>{70, 69, 71, 68, 72});
  CHECK(chain.search(0, 99, 3, kAll) == std::vector<Slot>{0, 1, 2});
}

TEST_CASE("hnsw/search_layer: stops when nothing nearer is left to expand") {
  Chain chain(1000);
  chain.search(10, 0, 4, kAll);
  CHECK(chain.probe.hops < 20);
  CHECK(chain.probe.scores < 20);
  chain.search(10, 0, 1000, kAll);  // an answer of everything looks at everything, once
  CHECK(chain.probe.scores == 999);
}

TEST_CASE("hnsw/search_layer: what is no answer is walked through all the same") {
  Chain chain(100);
  const auto outer = [](Slot slot) { return slot < 20 || slot > 80; };
  CHECK(chain.search(90, 0, 3, outer) == std::vector<Slot>{90, 89, 91});
  CHECK(chain.search(50, 0, 200, outer).size() == 39);
}

TEST_CASE("hnsw/search_layer: steps over full lists, on any level, find what a scan finds") {
  constexpr Slot kCount = 60;
  constexpr unsigned kTop = 1;
  Graph graph(29);  // a node has room for all others but one, and above for half of those
  Rows rows(Chain::numbers(kCount), Metric::kL2);
  for (Slot slot = 0; slot < kCount; ++slot) REQUIRE(graph.add_node(slot, kTop));
  for (Slot slot = 0; slot < kCount; ++slot) {
    for (unsigned level = 0; level <= kTop; ++level) {
      std::vector<Hit> links;
      for (Slot i = 1; i < kCount && links.size() < graph.capacity(level); ++i) {
        links.push_back({0, (slot + i) % kCount});
      }
      graph.links(slot, level).assign(links);
    }
  }
  const std::vector<Hit> starts = {{400, 0}, {361, 1}, {324, 2}, {289, 3}};
  for (unsigned level = 0; level <= kTop; ++level) {
    Beam beam;
    std::vector<Hit> hits;
    search_layer(graph, level, rows.to(20), starts, 5, kCount, BySlot{}, kAll, beam, hits);
    CHECK(Chain::slots_of(hits) == std::vector<Slot>{20, 19, 21, 18, 22});
  }
}

TEST_CASE("hnsw/search_layer: a slot beyond the range that the walk knows is left out") {
  Chain chain(10);
  const Bound bound = chain.rows.to(9);
  const Hit first{bound.score(0), 0};
  search_layer(chain.graph, 0, bound, {&first, 1}, 20, Slot{5}, BySlot{}, kAll, chain.beam,
               chain.hits);
  CHECK(Chain::slots_of(chain.hits) == std::vector<Slot>{4, 3, 2, 1, 0});
}

TEST_CASE("hnsw/search_layer: the greedy walk ends at the best of its way") {
  Chain chain(50);
  Beam beam;
  const Bound bound = chain.rows.to(33);
  const Hit end = greedy_walk(chain.graph, 0, bound, {bound.score(2), 2}, BySlot{}, beam);
  CHECK(end == Hit{l2_score(0), 33});
}

}  // namespace
}  // namespace engram::hnsw::search_layer_test
