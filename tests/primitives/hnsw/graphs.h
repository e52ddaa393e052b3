// SPDX-License-Identifier: Apache-2.0
// Looking at the graph of a collection.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <vector>

#include "core/visited_set.h"
#include "primitives/shared/hnsw/hnsw.h"
#include "tests/support/test_collection.h"

namespace engram::test {

inline const Primitive& hnsw() {
  return *find_primitive("hnsw").value();
}

inline const hnsw::Graph& graph_of(TestCollection& collection) {
  return dynamic_cast<hnsw::Hnsw&>(collection.index()).graph();
}

/// How many held slots no walk over level 0 from the entry point can meet.
inline std::size_t unreachable(TestCollection& collection) {
  const hnsw::Graph& graph = graph_of(collection);
  VisitedSet met;
  met.start(collection.store().slot_end());
  std::vector<Slot> frontier{graph.entry().slot};
  met.insert(graph.entry().slot);
  while (!frontier.empty()) {
    const Slot node = frontier.back();
    frontier.pop_back();
    graph.links(node, 0).for_each([&](Slot slot) {
      if (met.insert(slot)) frontier.push_back(slot);
    });
  }
  return static_cast<std::size_t>(std::count_if(collection.held().begin(), collection.held().end(),
                                                [&](Slot slot) { return met.insert(slot); }));
}

/// That lists lead to held slots of the right level, once each, and not back to their node.
inline void check_lists(TestCollection& collection) {
  const hnsw::Graph& graph = graph_of(collection);
  std::size_t wrong = 0;
  for (const Slot node : collection.held()) {
    for (unsigned level = 0; level <= graph.level(node); ++level) {
      std::set<Slot> distinct{node};
      graph.links(node, level).for_each([&](Slot slot) {
        wrong += !collection.held().contains(slot) || graph.level(slot) < level ||
                 !distinct.insert(slot).second;
      });
    }
  }
  CHECK(wrong == 0);
}

}  // namespace engram::test
