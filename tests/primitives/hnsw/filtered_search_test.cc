// SPDX-License-Identifier: Apache-2.0
// How hnsw goes about filters. What any primitive has to answer is tested in conformance/.
#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <vector>

#include "core/exact_scan.h"
#include "core/hash.h"
#include "tests/support/seed.h"
#include "tests/support/test_collection.h"
#include "tests/support/vectors.h"

namespace engram::hnsw::filtered_search_test {
namespace {

using test::make_rng;
using test::Rng;
using test::TestCollection;
using test::Vectors;

constexpr std::size_t kItems = 6000;

TestCollection make_items(Rng& rng) {
  TestCollection collection(*find_primitive("hnsw").value(), Metric::kL2, 12);
  collection.add_all(test::clustered_vectors(rng, kItems, 12, 60));
  return collection;
}

/// Recall and effort of searches for `queries`, each among the items of its own that far(i) gives.
struct Shown {
  double recall;
  SearchEffort effort;
};
template <class ItemsOf>
Shown search_all(TestCollection& collection, const Vectors& queries, SearchParams params,
                 ItemsOf&& items_of) {
  Shown shown{0, {}};
  for (std::size_t i = 0; i < queries.count(); ++i) {
    SlotSet items;
    for (const Slot slot : items_of(queries[i])) items.insert(slot).value();
    const SlotSetFilter filter(items);
    const Bound bound(collection.kernel(), collection.prepare(queries[i]), collection.store());
    std::vector<Hit> truth;
    scan_nearest(bound, items, params.k, truth);
    params.items = &filter;
    params.effort = &shown.effort;
    shown.recall += test::recall_of(collection.search(queries[i], params), truth);
  }
  shown.recall /= static_cast<double>(queries.count());
  return shown;
}

TEST_CASE("hnsw/filtered_search: where few are accepted it scans, where many are it walks") {
  Rng rng = make_rng(300);
  TestCollection collection = make_items(rng);
  SlotSet all;
  for (Slot slot = 0; slot < kItems; ++slot) all.insert(slot).value();
  const SlotSetFilter filter(all);
  const auto plan = [&](std::size_t matches) {
    return collection.index().plan({.k = 5, .ef = 20, .items = &filter, .matches = matches});
  };
  CHECK(!plan(50).walks);
  CHECK(plan(3000).walks);
  CHECK(plan(3000).walk_cost < 3000);
  CHECK(plan(3000).walk_cost < plan(1000).walk_cost);
  // Not told, it looks.
  CHECK(collection.index().plan({.k = 5, .ef = 20, .items = &filter}).walks);
}

TEST_CASE("hnsw/filtered_search: a filter that lets half pass costs recall nothing") {
  Rng rng = make_rng(301);
  TestCollection collection = make_items(rng);
  const Vectors queries = test::clustered_vectors(rng, 60, 12, 60);
  const Shown shown =
      search_all(collection, queries, {.k = 5, .ef = 20}, [](std::span<const float>) {
        std::vector<Slot> half;
        for (Slot slot = 0; slot < kItems; ++slot) {
          if (mix(slot) % 2 == 0) half.push_back(slot);
        }
        return half;
      });
  CHECK(shown.recall >= collection.recall(queries, {.k = 5, .ef = 20}) - 0.06);
  CHECK(shown.effort.visited > 0);
  CHECK(shown.effort.scored < queries.count() * 1000);
}

/// Counts what it is asked about.
class Asked final : public ItemFilter {
 public:
  explicit Asked(Slot refused) : refused_(refused) {}
  bool accepts(Slot slot) const noexcept override {
    ++count;
    return slot != refused_;
  }
  mutable std::size_t count = 0;

 private:
  const Slot refused_;
};

TEST_CASE("hnsw/filtered_search: where nearly all are accepted only answers are asked about") {
  Rng rng = make_rng(303);
  TestCollection collection = make_items(rng);
  const Vectors queries = test::clustered_vectors(rng, 20, 12, 60);
  for (std::size_t i = 0; i < queries.count(); ++i) {
    SearchEffort plain_effort;
    const auto plain = collection.search(queries[i], {.k = 5, .ef = 40, .effort = &plain_effort});
    const Asked all(kNoSlot);
    SearchEffort effort;
    SearchParams params = {.k = 5, .ef = 40, .items = &all, .matches = kItems, .effort = &effort};
    CHECK(collection.search(queries[i], params) == plain);
    CHECK(all.count == 5);
    CHECK(effort.visited == plain_effort.visited);
    CHECK(effort.visited > 0);

    const Asked others(plain.front().slot);
    params.items = &others;
    const auto found = collection.search(queries[i], params);
    CHECK(found.size() == 5);
    CHECK(std::none_of(found.begin(), found.end(),
                       [&](const Hit& hit) { return hit.slot == plain.front().slot; }));
  }
}

TEST_CASE("hnsw/filtered_search: what is accepted far from the query alone is found, too") {
  Rng rng = make_rng(302);
  TestCollection collection = make_items(rng);
  const Vectors queries = test::clustered_vectors(rng, 40, 12, 60);
  const Shown shown =
      search_all(collection, queries, {.k = 5, .ef = 20}, [&](std::span<const float> query) {
        std::vector<Slot> far;
        for (const Hit& hit : collection.expected(query, kItems)) far.push_back(hit.slot);
        far.erase(far.begin(), far.begin() + kItems / 2);
        return far;
      });
  CHECK(shown.recall >= 0.75);  // .96 in the mean of 40 seeds, .85 at worst
  CHECK(shown.effort.visited > 0);
  CHECK(shown.effort.scored < queries.count() * kItems * 3 / 4);
}

// Clusters are equally far from each other, so no region leads to another: a walk that begins in
// few of them finds what these have. .47 in the mean where it began at 32 items and kept twice EF.
TEST_CASE("hnsw/filtered_search: of the far regions none is forgotten") {
  Rng rng = make_rng(304);
  constexpr std::size_t kMany = 12000;
  TestCollection collection(*find_primitive("hnsw").value(), Metric::kL2, 12);
  collection.add_all(test::clustered_vectors(rng, kMany, 12, 60));
  const Vectors queries = test::clustered_vectors(rng, 20, 12, 60);
  const Shown shown =
      search_all(collection, queries, {.k = 10, .ef = 20}, [&](std::span<const float> query) {
        std::vector<Slot> far;
        for (const Hit& hit : collection.expected(query, kMany)) far.push_back(hit.slot);
        far.erase(far.begin(), far.begin() + kMany / 2);
        return far;
      });
  CHECK(shown.recall >= 0.65);  // .96 in the mean of 165 seeds, .76 at worst
}

TEST_CASE("hnsw/filtered_search: a limit of visited nodes ends a search, which says so") {
  Rng rng = make_rng(303);
  TestCollection collection = make_items(rng);
  const Vectors queries = test::clustered_vectors(rng, 10, 12, 60);
  const Shown shown = search_all(collection, queries, {.k = 5, .ef = 20, .most_visited = 3},
                                 [](std::span<const float>) {
                                   std::vector<Slot> half;
                                   for (Slot slot = 0; slot < kItems; slot += 2)
                                     half.push_back(slot);
                                   return half;
                                 });
  CHECK(!shown.effort.complete);
  CHECK(shown.effort.visited <= 10 * 5);
}

}  // namespace
}  // namespace engram::hnsw::filtered_search_test
