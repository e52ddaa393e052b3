// SPDX-License-Identifier: Apache-2.0
#include "primitives/shared/hnsw/select_neighbors.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <iterator>
#include <set>
#include <vector>

#include "primitives/shared/hnsw/search_layer.h"
#include "tests/primitives/hnsw/fixture.h"
#include "tests/support/seed.h"

namespace engram::hnsw::select_neighbors_test {
namespace {

using test::equal_vectors;
using test::Rows;
using test::uniform_vectors;
using test::Vectors;

/// All rows but the base's, as candidates for it.
std::vector<Hit> candidates_for(const Rows& rows, Slot base) {
  std::vector<Hit> candidates;
  for (Slot slot = 0; slot < rows.store->slot_end(); ++slot) {
    if (slot != base) candidates.push_back({rows.to(base).score(slot), slot});
  }
  std::sort(candidates.begin(), candidates.end(), ByPairHash{base});
  return candidates;
}

std::vector<Slot> select(const Rows& rows, Slot base, std::size_t m) {
  Selection selection;
  select_neighbors(rows.view(), candidates_for(rows, base), m, selection);
  std::vector<Slot> slots;
  for (const Hit& hit : selection.chosen) slots.push_back(hit.slot);
  return slots;
}

TEST_CASE(
    "hnsw/select_neighbors: on a line, the nearest of each side comes before the next nearest") {
  // 0 is the base; to its right 1, 2, 3, to its left -4.
  const Rows rows(Vectors{1, {0, 1, 2, 3, -4}}, Metric::kL2);
  CHECK(select(rows, 0, 2) == std::vector<Slot>{1, 4});
  CHECK(select(rows, 0, 3) == std::vector<Slot>{1, 4, 2});  // then those passed over, nearest first
}

TEST_CASE("hnsw/select_neighbors: few candidates are all taken, none gives none") {
  const Rows rows(Vectors{1, {0, 1, 2, 3}}, Metric::kL2);
  CHECK(select(rows, 0, 3).size() == 3);
  CHECK(select(rows, 0, 100).size() == 3);
  CHECK(select(Rows(Vectors{1, {0}}, Metric::kL2), 0, 3).empty());
}

/// The paper's pseudocode, one pair at a time.
std::vector<Slot> reference(const Rows& rows, Slot base, std::size_t m) {
  std::vector<Hit> chosen;
  std::vector<Hit> discarded;
  for (const Hit& e : candidates_for(rows, base)) {
    const bool good = chosen.size() < m && std::all_of(chosen.begin(), chosen.end(), [&](Hit r) {
                        const float between = rows.to(e.slot).score(r.slot);
                        return between > e.score || (between == e.score && r.score != e.score);
                      });
    (good ? chosen : discarded).push_back(e);
  }
  for (const Hit& e : discarded) {
    if (chosen.size() < m) chosen.push_back(e);
  }
  std::vector<Slot> slots;
  slots.reserve(chosen.size());
  for (const Hit& hit : chosen) slots.push_back(hit.slot);
  return slots;
}

TEST_CASE("hnsw/select_neighbors: chooses as the paper's Algorithm 4, pair by pair, does") {
  auto rng = test::make_rng(61);
  for (const Metric metric : kMetrics) {
    for (const std::size_t m : {1U, 2U, 8U, 16U, 40U}) {
      const Rows rows(uniform_vectors(rng, 100, 1 + rng() % 10), metric);
      const auto base = static_cast<Slot>(rng() % 100);
      CHECK(select(rows, base, m) == reference(rows, base, m));
    }
  }
}

/// What was selected, and one more at the end.
std::vector<Hit> with(std::vector<Hit> selected, const Hit& added) {
  selected.push_back(added);
  return selected;
}

TEST_CASE("hnsw/select_neighbors: one more neighbour is added as if all were chosen anew") {
  auto rng = test::make_rng(62);
  int added = 0;
  for (int round = 0; round < 400; ++round) {
    Vectors vectors = uniform_vectors(rng, 100, 2 + rng() % 10);
    if (round % 2 == 0) {  // on a grid, where distances are equal and some vectors as well
      for (float& value : vectors.values) value = std::round(value);
    }
    const Rows rows(vectors, kMetrics[static_cast<std::size_t>(round) % std::size(kMetrics)]);
    const auto base = static_cast<Slot>(rng() % 100);
    auto candidates = candidates_for(rows, base);
    const auto pick = candidates.begin() + static_cast<std::ptrdiff_t>(rng() % candidates.size());
    const Hit one_more = *pick;
    candidates.erase(pick);
    Selection selection;
    select_neighbors(rows.view(), candidates, 4 + rng() % 40, selection);
    auto all = with(selection.chosen, one_more);
    if (!add_to_selection(rows.view(), all, ByPairHash{base}, selection)) continue;
    ++added;
    const std::vector<Hit> found = selection.chosen;
    std::sort(all.begin(), all.end(), ByPairHash{base});
    select_neighbors(rows.view(), all, all.size() - 1, selection);
    CHECK(found == selection.chosen);
  }
  CHECK(added > 200);
}

/// A base with four neighbours, of which three are selected: 1 and 2 to its right, 3 and 4 to its
/// left, each second one behind the first. And four vectors that may be added to them.
struct Cross {
  Cross() : rows(Vectors{2, {0, 0, 1, 0, 2, 0, -6, 0, -7, 0, 0, 3, -5, 0, 1.5, 0}}, Metric::kL2) {
    const std::vector<Hit> candidates = candidates_for(rows, 0);
    std::vector<Hit> old;
    for (const Hit& hit : candidates) {
      if (hit.slot <= 4) old.push_back(hit);
    }
    select_neighbors(rows.view(), old, 3, selection);
    selected = selection.chosen;
  }

  /// The slots after `slot` is added; none where all would have to be selected anew.
  std::vector<Slot> after_adding(Slot slot) {
    const Hit hit{rows.to(0).score(slot), slot};
    std::vector<Slot> slots;
    if (!add_to_selection(rows.view(), with(selected, hit), ByPairHash{0}, selection)) return slots;
    for (const Hit& each : selection.chosen) slots.push_back(each.slot);
    return slots;
  }

  Rows rows;
  Selection selection;
  std::vector<Hit> selected;
};

TEST_CASE("hnsw/select_neighbors: a new neighbour finds its place by distance and direction") {
  Cross cross;
  REQUIRE(cross.selected.size() == 3);  // 1 and 3, which are diverse, and the nearer of 2 and 4
  CHECK(cross.selected[2].slot == 2);
  CHECK(cross.after_adding(5) == std::vector<Slot>{1, 5, 3});  // a new direction
  CHECK(cross.after_adding(7) == std::vector<Slot>{1, 3, 7});  // behind 1, but nearer than 2
  CHECK(cross.after_adding(4) == std::vector<Slot>{1, 3, 2});  // behind 3
  CHECK(cross.after_adding(6).empty());                        // 3 lies behind it
}

TEST_CASE("hnsw/select_neighbors: nothing is added where the diverse ones have no visible end") {
  Cross cross;
  std::sort(cross.selected.begin(), cross.selected.end(), ByPairHash{0});
  CHECK(cross.after_adding(5).empty());
}

TEST_CASE("hnsw/select_neighbors: copies of the base do not shut out what else there is") {
  Vectors vectors = equal_vectors(50, 2, 1);
  vectors.values.insert(vectors.values.end(), {9, 1, 1, -9});  // slots 50 and 51
  const Rows rows(vectors, Metric::kL2);
  const auto chosen = select(rows, 0, 8);
  CHECK(std::count(chosen.begin(), chosen.end(), 50) == 1);
  CHECK(std::count(chosen.begin(), chosen.end(), 51) == 1);
  CHECK(chosen.size() == 8);
}

TEST_CASE("hnsw/select_neighbors: equal vectors choose different copies of themselves") {
  const Rows rows(equal_vectors(400, 3, 1), Metric::kCosine);
  std::set<Slot> chosen;
  for (Slot base = 0; base < 100; ++base)
    chosen.merge([&] {
      const auto slots = select(rows, base, 8);
      return std::set<Slot>(slots.begin(), slots.end());
    }());
  CHECK(chosen.size() > 250);  // 8 if all chose the same ones, 346 expected of random choices
}

}  // namespace
}  // namespace engram::hnsw::select_neighbors_test
