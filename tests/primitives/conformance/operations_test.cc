// SPDX-License-Identifier: Apache-2.0
// Inserting, erasing, reclaiming and searching against a brute-force model.
#include <algorithm>
#include <iterator>

#include "tests/primitives/conformance/conformance.h"

namespace engram::test::operations_test {
namespace {

Slot any_of(const std::set<Slot>& slots, Rng& rng) {
  return *std::next(slots.begin(), static_cast<std::ptrdiff_t>(rng() % slots.size()));
}

TEST_CASE("primitives/conformance: random operations answer as the model does") {
  on_every_primitive([](const Variant& variant, Metric metric) {
    Rng rng = make_rng(1);
    const std::size_t dim = 1 + rng() % 24;
    CAPTURE(dim);
    TestCollection collection = make_collection(variant, metric, dim);
    for (int operation = 0; operation < 2000; ++operation) {
      const auto choice = rng() % 100;
      const Vectors vector = uniform_vectors(rng, 1, dim);
      if (choice < 55) {
        collection.add(vector[0]);
      } else if (choice < 85) {
        if (!collection.held().empty()) collection.erase(any_of(collection.held(), rng));
      } else if (choice < 86) {
        collection.reclaim();
      } else {
        check_search(collection, vector[0], rng() % 30);
      }
      REQUIRE(collection.index().size() == collection.held().size());
    }
  });
}

TEST_CASE("primitives/conformance: the nearest are found, in uniform and in clustered data") {
  on_every_primitive([](const Variant& variant, Metric metric) {
    Rng rng = make_rng(2);
    const double floor = variant.primitive.traits.exact ? 1 : kRecallFloor;
    TestCollection uniform = make_collection(variant, metric, 16);
    uniform.add_all(uniform_vectors(rng, 2000, 16));
    CHECK(uniform.recall(uniform_vectors(rng, 100, 16), {.k = 10}) >= floor);

    const Vectors vectors = clustered_vectors(rng, 2100, 16);
    TestCollection clustered = make_collection(variant, metric, 16);
    Vectors queries{16, {}};
    for (std::size_t i = 0; i < vectors.count(); ++i) {
      if (i % 21 != 0) {
        clustered.add(vectors[i]);
      } else {
        queries.values.insert(queries.values.end(), vectors[i].begin(), vectors[i].end());
      }
    }
    CHECK(clustered.recall(queries, {.k = 10}) >= floor);
  });
}

TEST_CASE("primitives/conformance: a stranger's search never answers the item, and k others") {
  on_every_primitive([](const Variant& variant, Metric metric) {
    Rng rng = make_rng(3);
    const Vectors vectors = clustered_vectors(rng, 600, 12);
    TestCollection collection = make_collection(variant, metric, 12);
    collection.add_all(vectors);
    for (std::size_t i = 0; i < vectors.count(); i += 60) {
      const auto own = static_cast<Slot>(i);
      std::vector<Hit> hits;
      REQUIRE(collection.index()
                  .search_as_stranger(own, collection.prepare(vectors[i]), {.k = 10, .ef = 10},
                                      collection.scratch(), hits)
                  .has_value());
      CHECK(hits.size() == 10);
      CHECK(std::is_sorted(hits.begin(), hits.end()));
      std::vector<Hit> truth = collection.expected(vectors[i], 11);
      std::erase_if(truth, [own](const Hit& hit) { return hit.slot == own; });
      truth.resize(10);
      CHECK(std::none_of(hits.begin(), hits.end(),
                         [own](const Hit& hit) { return hit.slot == own; }));
      if (variant.primitive.traits.exact) CHECK(hits == truth);
    }
  });
}

TEST_CASE("primitives/conformance: recall survives rounds of replacing half") {
  on_every_primitive([](const Variant& variant, Metric metric) {
    Rng rng = make_rng(3);
    TestCollection collection = make_collection(variant, metric, 16);
    collection.add_all(uniform_vectors(rng, 1200, 16));
    std::size_t memory = 0;
    for (int round = 0; round < 5; ++round) {
      for (std::size_t i = 0; i < 600; ++i) collection.erase(any_of(collection.held(), rng));
      collection.reclaim();
      collection.add_all(uniform_vectors(rng, 600, 16));
      if (round == 0) memory = collection.index().memory_bytes();
    }
    CHECK(collection.store().slot_end() <= 1200);
    CHECK(collection.index().memory_bytes() <= memory + memory / 10);
    const double floor = variant.primitive.traits.exact ? 1 : kRecallFloor;
    CHECK(collection.recall(uniform_vectors(rng, 100, 16), {.k = 10}) >= floor);
  });
}

TEST_CASE("primitives/conformance: an erased slot is never answered, and its place is reused") {
  on_every_primitive([](const Variant& variant, Metric metric) {
    Rng rng = make_rng(4);
    const Vectors vectors = uniform_vectors(rng, 400, 8);
    TestCollection collection = make_collection(variant, metric, 8);
    collection.add_all(vectors);
    for (std::size_t i = 0; i < 400; i += 2) {
      collection.erase(static_cast<Slot>(i));
      check_search(collection, vectors[i], 5);
    }
    collection.reclaim();
    for (std::size_t i = 0; i < 400; i += 2) check_search(collection, vectors[i], 5);
    for (std::size_t i = 0; i < 400; i += 2) CHECK(collection.add(vectors[i]) < 400);
    for (std::size_t i = 0; i < 400; i += 20) check_search(collection, vectors[i], 5);
  });
}

TEST_CASE("primitives/conformance: all can be erased, and it begins anew") {
  on_every_primitive([](const Variant& variant, Metric metric) {
    Rng rng = make_rng(5);
    TestCollection collection = make_collection(variant, metric, 8);
    for (int round = 0; round < 4; ++round) {
      const Vectors vectors = uniform_vectors(rng, 300, 8);
      collection.add_all(vectors);
      check_search(collection, vectors[0], 20);
      while (!collection.held().empty()) collection.erase(any_of(collection.held(), rng));
      CHECK(collection.search(vectors[0], 10).empty());
      if (round % 2 == 0) collection.reclaim();  // and once with all of the erased still inside
    }
  });
}

TEST_CASE("primitives/conformance: the same inserts give the same answers") {
  on_every_primitive([](const Variant& variant, Metric metric) {
    Rng rng = make_rng(6);
    const Vectors vectors = uniform_vectors(rng, 1000, 12);
    const Vectors queries = uniform_vectors(rng, 50, 12);
    TestCollection one = make_collection(variant, metric, 12);
    TestCollection other = make_collection(variant, metric, 12);
    one.add_all(vectors);
    other.add_all(vectors);
    for (std::size_t i = 0; i < queries.count(); ++i) {
      CHECK(one.search(queries[i], 10) == other.search(queries[i], 10));
    }
  });
}

TEST_CASE("primitives/conformance: a batch answers as its queries one by one") {
  on_every_primitive([](const Variant& variant, Metric metric) {
    Rng rng = make_rng(7);
    const std::size_t dim = 1 + rng() % 100;
    CAPTURE(dim);
    TestCollection collection = make_collection(variant, metric, dim);
    collection.add_all(uniform_vectors(rng, 1500, dim));
    for (Slot slot = 0; slot < 1500; slot += 7) collection.erase(slot);
    for (const std::size_t count : {0U, 1U, 3U, 64U, 200U}) {
      CAPTURE(count);
      const Vectors vectors = uniform_vectors(rng, count, dim);
      std::vector<AlignedBuffer> buffers(count);
      std::vector<Query> queries;
      for (std::size_t i = 0; i < count; ++i) {
        queries.push_back(collection.kernel().prepare(vectors[i], buffers[i]));
      }
      std::vector<std::vector<Hit>> hits(count, {{0, 0}});  // left over from another search
      const Status searched =
          collection.index().search_batch(queries, {.k = 10}, collection.scratch(), hits);
      REQUIRE(searched.has_value());
      for (std::size_t i = 0; i < count; ++i) CHECK(hits[i] == collection.search(vectors[i], 10));
    }
  });
}

}  // namespace
}  // namespace engram::test::operations_test
