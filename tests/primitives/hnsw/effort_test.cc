// SPDX-License-Identifier: Apache-2.0
// Searches of which the effort is chosen for a recall.
#include <doctest/doctest.h>

#include <vector>

#include "tests/primitives/hnsw/graphs.h"
#include "tests/support/seed.h"
#include "tests/support/test_collection.h"
#include "tests/support/vectors.h"

namespace engram::hnsw::effort_test {
namespace {

using test::clustered_vectors;
using test::hnsw;
using test::TestCollection;
using test::Vectors;

TEST_CASE("hnsw/effort: a narrow search answers k, and the more it keeps the better" *
          doctest::test_suite("quality")) {
  test::Rng rng = test::make_rng(31);
  for (const std::string_view quant : {"f32", "sq4"}) {
    TestCollection collection(hnsw(), Metric::kL2, 16, {{"QUANT", quant}});
    collection.add_all(clustered_vectors(rng, 4000, 16));
    const Vectors queries = clustered_vectors(rng, 100, 16);
    const auto recall = [&](std::size_t ef) {
      return collection.recall(queries, {.k = 10, .ef = ef, .is_narrow = true});
    };
    CHECK(recall(1) < recall(4));
    CHECK(recall(4) < recall(10));
    CHECK(collection.recall(queries, {.k = 10, .ef = 1}) > recall(1));  // keeps 10 at least
    CHECK(collection.search(queries[0], {.k = 10, .ef = 1, .is_narrow = true}).size() == 10);
  }
}

TEST_CASE("hnsw/effort: narrow searches answer what is held, and scan where they meet too little") {
  test::Rng rng = test::make_rng(32);
  const Vectors vectors = clustered_vectors(rng, 2000, 8);
  TestCollection collection(hnsw(), Metric::kL2, 8);
  collection.add_all(vectors);
  for (Slot slot = 0; slot < 2000; slot += 2) collection.erase(slot);
  for (std::size_t i = 0; i < 50; ++i) {
    const auto hits = collection.search(vectors[2 * i], {.k = 20, .ef = 2, .is_narrow = true});
    CHECK(hits.size() == 20);
    for (const Hit& hit : hits) CHECK(hit.slot % 2 == 1);
  }
}

}  // namespace
}  // namespace engram::hnsw::effort_test
