// SPDX-License-Identifier: Apache-2.0
// What is flat's own: batches that products of bytes filter.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "primitives/flat/batch_scan.h"
#include "primitives/flat/coded_scan.h"
#include "tests/support/seed.h"
#include "tests/support/test_collection.h"
#include "tests/support/vectors.h"

namespace engram::test::flat_test {
namespace {

constexpr std::size_t kBatch = flat::kCodedQueries + 70;  // some tiles and a bit

using Answers = std::vector<std::vector<Hit>>;

/// What the filter of one instruction set leads to, whichever is the best one.
Answers scan_coded(TestCollection& collection, const flat::ByteProduct& product,
                   std::span<const Query> queries, std::size_t k) {
  SlotSet held;
  REQUIRE(held.ensure(collection.store().slot_end()));
  for (const Slot slot : collection.held()) held.add(slot);
  Answers hits(queries.size());
  std::vector<TopK> nearest;
  for (std::vector<Hit>& answer : hits) nearest.emplace_back(k, answer);
  flat::scan_coded({collection.store(), collection.kernel()}, product, held, queries, nullptr,
                   collection.scratch(), nearest);
  for (TopK& answer : nearest) answer.finish();
  return hits;
}

void check_batch(TestCollection& collection, const Vectors& vectors, std::size_t k) {
  std::vector<AlignedBuffer> buffers(vectors.count());
  std::vector<Query> queries;
  Answers expected;
  for (std::size_t i = 0; i < vectors.count(); ++i) {
    queries.push_back(collection.kernel().prepare(vectors[i], buffers[i]));
    expected.push_back(collection.search(vectors[i], k));
  }
  Answers hits(vectors.count());
  REQUIRE(collection.index().search_batch(queries, {.k = k}, collection.scratch(), hits));
  CHECK((hits == expected));
  for (const flat::ByteProduct& product : flat::byte_products()) {
    CAPTURE(product.name);
    CHECK((scan_coded(collection, product, queries, k) == expected));
  }
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

TEST_CASE("primitives/flat: batches answer where tiny and huge vectors lie side by side") {
  Rng rng = make_rng(47);
  const Primitive& flat = *find_primitive("flat").value();
  const auto spread = [&](std::size_t count) {
    Vectors vectors = uniform_vectors(rng, count, 33);
    std::uniform_real_distribution<float> exponent(-25, 17);
    for (std::size_t i = 0; i < count; ++i) {
      const float size = rng() % 50 == 0 ? 0.0F : std::pow(10.0F, exponent(rng));
      for (std::size_t d = 0; d < 33; ++d) vectors.values[i * 33 + d] *= size;
    }
    return vectors;
  };
  for (const Metric metric : kMetrics) {
    CAPTURE(metric_name(metric));
    TestCollection collection(flat, metric, 33);
    collection.add_all(spread(2000));
    check_batch(collection, spread(kBatch), 10);
  }
}

TEST_CASE("primitives/flat: batches tell apart what has the same codes") {
  Rng rng = make_rng(48);
  const Primitive& flat = *find_primitive("flat").value();
  for (const Metric metric : kMetrics) {
    for (const float size : {1e-3F, 1e-5F}) {
      CAPTURE(metric_name(metric));
      CAPTURE(size);
      Vectors vectors = uniform_vectors(rng, 2000, 64);
      // One component rules the scale, the others decide.
      for (std::size_t i = 0; i < vectors.values.size(); ++i) {
        vectors.values[i] = i % 64 == 5 ? 1.0F : vectors.values[i] * size;
      }
      TestCollection collection(flat, metric, 64);
      collection.add_all(vectors);
      Vectors queries = uniform_vectors(rng, kBatch, 64);
      for (float& value : queries.values) value *= size;
      check_batch(collection, queries, 10);
    }
  }
}

TEST_CASE("primitives/flat: damaged rows do no harm to the answers of batches") {
  Rng rng = make_rng(49);
  const Primitive& flat = *find_primitive("flat").value();
  constexpr float kInfinite = std::numeric_limits<float>::infinity();
  for (const Metric metric : kMetrics) {
    CAPTURE(metric_name(metric));
    TestCollection collection(flat, metric, 20);
    collection.add_all(uniform_vectors(rng, 1500, 20));
    for (Slot slot = 0; slot < 1500; slot += 1 + static_cast<Slot>(rng() % 99)) {
      std::vector<float> damaged(20, 0.5F);
      damaged[rng() % 20] = rng() % 2 == 0 ? std::nanf("") : kInfinite;
      collection.store().write(slot, damaged);
    }
    check_batch(collection, uniform_vectors(rng, kBatch, 20), 10);
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
}  // namespace engram::test::flat_test
