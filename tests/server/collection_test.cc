// SPDX-License-Identifier: Apache-2.0
// The engine under every registered primitive: what clients rely on whichever one an index names.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "tests/server/collection_fixture.h"
#include "tests/support/each_primitive.h"
#include "tests/support/seed.h"

namespace engram::collection_test {
namespace {

using test::Vector;
using Fixture = test::CollectionFixture;

Vector random_vector(std::mt19937_64& rng, std::size_t dim = 8) {
  std::normal_distribution<float> gauss;
  Vector vector(dim);
  for (float& value : vector) value = gauss(rng);
  return vector;
}

/// An index that answers nothing, and takes a byte for each item that it has not let go of.
template <bool kDefers>
class Hoard final : public Index {
 public:
  Status insert(const Insertion&, Scratch&) override {
    ++bytes_;
    return {};
  }
  void erase(Slot, Scratch&) override { bytes_ -= kDefers ? 0 : 1; }
  Status reclaim(std::span<const Slot> erased, Scratch&) override {
    bytes_ -= erased.size();
    return {};
  }
  Status search(Query, const SearchParams&, Scratch&, std::vector<Hit>& hits) const override {
    hits.clear();
    return {};
  }
  std::size_t size() const noexcept override { return bytes_; }
  std::size_t memory_bytes() const noexcept override { return bytes_; }

  static inline const Primitive kPrimitive = {
      .name = "hoard",
      .summary = "keeps what was erased",
      .source = "a test",
      .traits = {.concurrent = true, .deferred_reclaim = kDefers},
      .create = [](const IndexContext&, const Options&) -> Result<std::unique_ptr<Index>> {
        return std::make_unique<Hoard>();
      }};

 private:
  std::atomic<std::size_t> bytes_{0};
};

TEST_CASE("engine/collection: bytes of the structure are told after each change") {
  const auto fill_and_erase = [](test::CollectionFixture& fixture) {
    for (const char* const key : {"a", "b", "c"}) fixture.put(key, {1, 2});
    CHECK(fixture.collection->series().structure_bytes() == 3);
    CHECK(fixture.erase("a"));
    CHECK(fixture.erase("b"));
  };
  SUBCASE("an erasure gives them back") {
    test::CollectionFixture fixture(Hoard<false>::kPrimitive, 2);
    fill_and_erase(fixture);
    CHECK(fixture.collection->series().structure_bytes() == 1);
  }
  SUBCASE("reclaiming slots does") {
    test::CollectionFixture fixture(Hoard<true>::kPrimitive, 2);
    fill_and_erase(fixture);
    CHECK(fixture.collection->series().structure_bytes() == 3);
    bool is_settled = false;
    fixture.collection->settle([&is_settled](const Status&) { is_settled = true; });
    fixture.loop.run_until([&is_settled] { return is_settled; });
    CHECK(fixture.collection->series().structure_bytes() == 1);
  }
}

TEST_CASE("engine/collection: a put key is found, read back and counted once") {
  test::for_each_primitive([](const Primitive& primitive) {
    auto rng = test::make_rng(10);
    Fixture fixture(primitive);
    const Vector vector = random_vector(rng);
    CHECK(fixture.put("a", vector) == 1);
    CHECK(fixture.put("a", vector) == 0);
    CHECK(fixture.collection->size() == 1);
    CHECK(fixture.collection->get("a") == vector);
    CHECK_FALSE(fixture.collection->get("b").has_value());
    const auto found = fixture.search(vector, 10);
    REQUIRE(found.size() == 1);
    CHECK(found[0] == std::pair<std::string, float>("a", 0.0F));
  });
}

TEST_CASE("engine/collection: an overwritten or erased key never answers with its old vector") {
  test::for_each_primitive([](const Primitive& primitive) {
    auto rng = test::make_rng(11);
    Fixture fixture(primitive);
    std::map<std::string, Vector> model;
    for (int step = 0; step < 1'500; ++step) {
      const std::string key = "key:" + std::to_string(rng() % 100);
      if (rng() % 3 == 0) {
        CHECK(fixture.erase(key) == (model.erase(key) == 1));
      } else {
        const Vector vector = random_vector(rng);
        CHECK(fixture.put(key, vector) == (model.count(key) == 0 ? 1 : 0));
        model[key] = vector;
      }
      REQUIRE(fixture.collection->size() == model.size());
    }
    const auto all = fixture.search(random_vector(rng), model.size() + 10);
    std::set<std::string> keys;
    for (const auto& [key, distance] : all) keys.insert(key);
    CHECK(all.size() == model.size());
    CHECK(keys.size() == model.size());
    for (const auto& [key, vector] : model) {
      CHECK(fixture.collection->get(key) == vector);
      const auto nearest = fixture.search(vector, 1);
      REQUIRE(nearest.size() == 1);
      if (primitive.traits.exact) CHECK(nearest[0].first == key);
    }
  });
}

TEST_CASE("engine/collection: of several writes to one key at once the last one wins") {
  test::for_each_primitive([](const Primitive& primitive) {
    auto rng = test::make_rng(12);
    Fixture fixture(primitive);
    for (int round = 0; round < 50; ++round) {
      Vector last;
      for (int i = 0; i < 10; ++i) {
        last = random_vector(rng);
        fixture.start_put("k", last);
        if (i == 4) fixture.start_erase("k");
      }
      fixture.finish();
      REQUIRE(fixture.collection->get("k") == last);
      REQUIRE(fixture.search(last, 10).size() == 1);
    }
  });
}

TEST_CASE("engine/collection: in a batch with one key twice the later vector wins") {
  test::for_each_primitive([](const Primitive& primitive) {
    auto rng = test::make_rng(13);
    Fixture fixture(primitive);
    const Vector first = random_vector(rng);
    const Vector second = random_vector(rng);
    Collection::PutBatch batch(fixture.collection);
    REQUIRE(batch.add("k", first).has_value());
    REQUIRE(batch.add("other", first).has_value());
    REQUIRE(batch.add("k", second).has_value());
    ++fixture.running;
    batch.commit([&](Result<std::size_t> added) {
      fixture.last_added = added.value();
      --fixture.running;
    });
    fixture.finish();
    CHECK(fixture.last_added == 2);
    CHECK(fixture.collection->get("k") == second);
    CHECK(fixture.search(second, 10).size() == 2);
  });
}

TEST_CASE("engine/collection: a batch that is not committed leaves nothing behind") {
  test::for_each_primitive([](const Primitive& primitive) {
    auto rng = test::make_rng(14);
    Fixture fixture(primitive);
    {
      Collection::PutBatch batch(fixture.collection);
      REQUIRE(batch.add("k", random_vector(rng)).has_value());
    }
    CHECK(fixture.collection->size() == 0);
    CHECK(fixture.collection->unsettled() == 0);
    CHECK(fixture.search(random_vector(rng), 5).empty());
  });
}

TEST_CASE("engine/collection: searches beside overwrites give full replies without repeated keys") {
  test::for_each_primitive([](const Primitive& primitive) {
    auto rng = test::make_rng(15);
    Fixture fixture(primitive);
    constexpr std::size_t kKeys = 60;
    for (std::size_t i = 0; i < kKeys; ++i) {
      fixture.start_put("key:" + std::to_string(i), random_vector(rng));
    }
    fixture.finish();
    for (int round = 0; round < 40; ++round) {
      std::vector<std::vector<std::pair<std::string, float>>> replies(20);
      for (auto& reply : replies) {
        fixture.start_put("key:" + std::to_string(rng() % kKeys), random_vector(rng));
        fixture.start_search(random_vector(rng), 50, &reply);
      }
      fixture.finish();
      for (const auto& reply : replies) {
        std::set<std::string> keys;
        for (const auto& [key, distance] : reply) keys.insert(key);
        REQUIRE(reply.size() == 50);
        REQUIRE(keys.size() == 50);
        REQUIRE(std::is_sorted(reply.begin(), reply.end(),
                               [](const auto& a, const auto& b) { return a.second < b.second; }));
      }
    }
  });
}

TEST_CASE("engine/collection: a key that is rewritten all the time is in every full reply") {
  test::for_each_primitive([](const Primitive& primitive) {
    auto rng = test::make_rng(18);
    Fixture fixture(primitive);
    constexpr std::size_t kKeys = 500;
    std::vector<Vector> vectors;
    for (std::size_t i = 0; i < kKeys; ++i) {
      vectors.push_back(random_vector(rng));
      fixture.start_put("key:" + std::to_string(i), vectors.back());
    }
    fixture.finish();
    for (int round = 0; round < 60; ++round) {
      const std::size_t chosen = rng() % kKeys;
      std::vector<std::vector<std::pair<std::string, float>>> replies(4);
      for (auto& reply : replies) {
        fixture.start_put("key:" + std::to_string(chosen), vectors[chosen]);
        fixture.start_search(vectors[chosen], kKeys, &reply);
      }
      fixture.finish();
      for (const auto& reply : replies) {
        REQUIRE(reply.size() == kKeys);
        REQUIRE(reply.front() == std::pair("key:" + std::to_string(chosen), 0.0F));
      }
    }
  });
}

TEST_CASE("engine/collection: slots of dead vectors are used again, so churn does not grow it") {
  test::for_each_primitive([](const Primitive& primitive) {
    auto rng = test::make_rng(16);
    Fixture fixture(primitive);
    constexpr int kKeys = 400;
    for (int round = 0; round < 4; ++round) {
      for (int i = 0; i < kKeys; ++i) {
        fixture.start_put("key:" + std::to_string(i), random_vector(rng));
        if (i % 16 == 15) fixture.finish();
      }
      fixture.finish();
      for (int i = 0; i < kKeys / 2; ++i) fixture.start_erase("key:" + std::to_string(i));
      fixture.finish();
      // Fewer than 64 may go on waiting for a reclaim that is worth its while.
      fixture.loop.run_until([&] { return fixture.collection->unsettled() < 64; });
    }
    // The rounds wrote 1,600 vectors. Some more than the keys may be in use at once: those waiting,
    // being reclaimed, and being written.
    CHECK(fixture.collection->slots() <= kKeys + 256);
  });
}

TEST_CASE("engine/collection: a collection dropped in mid-work lives until its work has ended") {
  test::for_each_primitive([](const Primitive& primitive) {
    auto rng = test::make_rng(17);
    Fixture fixture(primitive);
    for (int i = 0; i < 100; ++i) {
      fixture.start_put("key:" + std::to_string(i), random_vector(rng));
    }
    const std::weak_ptr<Collection> watched = fixture.collection;
    fixture.collection.reset();
    fixture.finish();
    CHECK(watched.expired());
  });
}

TEST_CASE("engine/slot_table: what a long reader has held up goes over several turns") {
  Fixture fixture(**find_primitive("flat"), 2, 2);
  Collection& collection = *fixture.collection;
  for (int i = 0; i < 4000; ++i) fixture.start_put(std::to_string(i), {static_cast<float>(i), 0});
  fixture.finish();
  std::vector<std::size_t> held;  // when turns of the loop begin
  bool is_found = false;
  collection.begin_save([&] {
    for (int i = 0; i < 3000; ++i) fixture.start_erase(std::to_string(i));
    is_found = true;
  });
  fixture.loop.run_until([&] { return is_found && fixture.running == 0; });
  CHECK(collection.unsettled() == 3000);
  collection.end_save();
  CHECK(collection.unsettled() > 2000);
  fixture.loop.run_until([&] {
    held.push_back(collection.unsettled());
    return held.back() == 0;
  });
  CHECK(held.size() > 5);
}

}  // namespace
}  // namespace engram::collection_test
