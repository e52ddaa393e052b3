// SPDX-License-Identifier: Apache-2.0
// What is flat's own: batches by matrix product.
#include <doctest/doctest.h>

#include <cmath>

#include "primitives/flat/batch_scan.h"
#include "tests/support/seed.h"
#include "tests/support/test_collection.h"
#include "tests/support/vectors.h"

namespace engram::test {
namespace {

constexpr std::size_t kBatch = flat::kCodedQueries + 70;

void check_batch(TestCollection& collection, const Vectors& vectors, std::size_t k) {
  std::vector<AlignedBuffer> buffers(vectors.count());
  std::vector<Query> queries;
  for (std::size_t i = 0; i < vectors.count(); ++i) {
    queries.push_back(collection.kernel().prepare(vectors[i], buffers[i]));
  }
  std::vector<std::vector<Hit>> hits(vectors.count());
  REQUIRE(collection.index().search_batch(queries, {.k = k}, collection.scratch(), hits));
  std::size_t different = 0;
  for (std::size_t i = 0; i < vectors.count(); ++i) {
    different += hits[i] != collection.search(vectors[i], k);
  }
  CHECK(different == 0);
}

/// Copies of one vector, each component of which is moved by at most an ulp: scores differ in their
/// last bits, so that any disagreement between product and kernel would change the order.
Vectors near_ties(Rng& rng, std::size_t count, std::size_t dim, float offset) {
  Vectors vectors = uniform_vectors(rng, 1, dim);
  for (float& value : vectors.values) value += offset;
  vectors.values.resize(count * dim);
  for (std::size_t i = dim; i < vectors.values.size(); ++i) {
    const float original = vectors.values[i % dim];
    const float towards = rng() % 2 == 0 ? 1e30F : -1e30F;
    vectors.values[i] = rng() % 2 == 0 ? original : std::nextafter(original, towards);
  }
  return vectors;
}

TEST_CASE("primitives/flat: a batch is bit for bit what single searches give, near ties included") {
  Rng rng = make_rng(41);
  const Primitive& flat = *find_primitive("flat").value();
  for (const Metric metric : kMetrics) {
    for (const std::size_t dim : {1U, 7U, 100U, 257U}) {
      for (const float offset : {0.0F, 1.0F, 1000.0F}) {
        CAPTURE(metric_name(metric));
        CAPTURE(dim);
        CAPTURE(offset);
        TestCollection collection(flat, metric, dim);
        const Vectors vectors = near_ties(rng, 1500, dim, offset);
        collection.add_all(vectors);
        Vectors queries = near_ties(rng, kBatch, dim, offset);
        std::copy_n(vectors.values.begin(), dim * kBatch / 2, queries.values.begin());
        check_batch(collection, queries, 10);
        check_batch(collection, queries, 0);
      }
    }
  }
}

TEST_CASE("primitives/flat: batches answer at the ends of the range of floats") {
  Rng rng = make_rng(42);
  const Primitive& flat = *find_primitive("flat").value();
  for (const Metric metric : kMetrics) {
    for (const float size : {1e-42F, 1e-30F, 1e-15F, 1e15F, 1e18F}) {
      CAPTURE(metric_name(metric));
      CAPTURE(size);
      Vectors vectors = uniform_vectors(rng, 1200, 9);
      for (float& value : vectors.values) value *= size;
      TestCollection collection(flat, metric, 9);
      collection.add_all(vectors);
      Vectors queries = uniform_vectors(rng, kBatch, 9);
      for (float& value : queries.values) value *= size;
      check_batch(collection, queries, 10);
    }
  }
}

TEST_CASE("primitives/flat: batches leave holes out") {
  Rng rng = make_rng(43);
  TestCollection collection(*find_primitive("flat").value(), Metric::kL2, 20);
  collection.add_all(uniform_vectors(rng, 3000, 20));
  for (Slot slot = 600; slot < 1200; slot += 1 + static_cast<Slot>(rng() % 9)) {
    collection.erase(slot);
  }
  check_batch(collection, uniform_vectors(rng, kBatch, 20), 10);
  check_batch(collection, uniform_vectors(rng, kBatch, 20), 5000);
}

}  // namespace
}  // namespace engram::test
