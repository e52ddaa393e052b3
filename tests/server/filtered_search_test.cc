// SPDX-License-Identifier: Apache-2.0
// Searches and recalls among the items that meet a filter, beside writes.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/registry.h"
#include "server/engine/query_plan.h"
#include "server/filters/filter.h"
#include "tests/server/attributes_fixture.h"
#include "tests/support/each_primitive.h"
#include "tests/support/rows.h"
#include "tests/support/seed.h"

namespace engram::filtered_search_test {
namespace {

using test::Vector;
using Reply = std::vector<std::pair<std::string, float>>;

constexpr std::size_t kMostColumnBytes = std::size_t{1} << 20;

class Fixture : public test::AttributesFixture {
 public:
  using AttributesFixture::AttributesFixture;

  void start_search_among(std::string_view filter, const Vector& query, SearchParams params,
                          Reply* found, SearchReport* report = nullptr) {
    ++running;
    collection->read_among(
        condition(filter),
        [=](const ReadView& view, const FilteredItems& among, Scratch& scratch) {
          std::vector<SearchReport> reports(1);
          const auto replies = view.search(query, params, 0, scratch, {}, &among, reports);
          if (!replies) return;
          if (report != nullptr) *report = reports.front();
          for (const Neighbor& neighbor : replies->front()) {
            found->emplace_back(std::string(neighbor.key), neighbor.distance);
          }
        },
        [this](const Status& status) {
          CHECK(status.has_value());
          --running;
        });
  }

  Reply search_among(std::string_view filter, const Vector& query, SearchParams params,
                     SearchReport* report = nullptr) {
    Reply found;
    start_search_among(filter, query, params, &found, report);
    finish();
    return found;
  }

  static Collection::Condition condition(std::string_view text) {
    auto filter = Filter::compile(text);
    REQUIRE(filter.has_value());
    return {std::make_shared<const Filter>(std::move(*filter)), kMostColumnBytes};
  }
};

Vector random_vector(std::mt19937_64& rng) {
  return test::random_vector(8, rng);
}

std::string key_of(std::size_t i) {
  return "key:" + std::to_string(i);
}

std::size_t index_of(const std::string& key) {
  return static_cast<std::size_t>(std::stoul(key.substr(4)));
}

TEST_CASE("engine/filtered search: what was found lately keeps no column that has gone") {
  test::for_each_primitive([](const Primitive& primitive) {
    auto rng = test::make_rng(94);
    Fixture fixture(primitive);
    for (std::size_t i = 0; i < 100; ++i) {
      fixture.start_put_with(key_of(i), random_vector(rng), R"({"a": 1, "b": 2})");
    }
    fixture.finish();
    const Vector query = random_vector(rng);
    CHECK(fixture.search_among(".a == 1", query, {.k = 5}).size() == 5);
    const AttributeColumns& columns = fixture.collection->columns();
    const std::size_t bytes_of_one = columns.memory_bytes();
    ++fixture.running;
    fixture.collection->ask_columns({.fields = {"b"},
                                     .ready =
                                         [&](const Result<AttributeColumns::Columns>& ready) {
                                           CHECK(ready.has_value());
                                           --fixture.running;
                                         },
                                     .most_bytes = 1});
    fixture.finish();
    CHECK(columns.count() == 1);
    CHECK(columns.memory_bytes() == bytes_of_one);
  });
}

TEST_CASE("engine/filtered search: beside overwrites replies are full, and all in them match") {
  test::for_each_primitive([](const Primitive& primitive) {
    auto rng = test::make_rng(92);
    Fixture fixture(primitive);
    constexpr std::size_t kKeys = 60;
    for (std::size_t i = 0; i < kKeys; ++i) {
      fixture.start_put_with(key_of(i), random_vector(rng),
                             "{\"n\": " + std::to_string(i % 3) + "}");
    }
    fixture.finish();
    for (int round = 0; round < 20; ++round) {
      std::vector<Reply> replies(20);
      for (Reply& reply : replies) {
        fixture.start_put(key_of(rng() % kKeys), random_vector(rng));
        fixture.start_search_among(".n == 1", random_vector(rng), {.k = 15, .ef = 60}, &reply);
      }
      fixture.finish();
      for (const Reply& reply : replies) {
        std::set<std::string> keys;
        for (const auto& [key, distance] : reply) {
          REQUIRE(index_of(key) % 3 == 1);
          keys.insert(key);
        }
        REQUIRE(reply.size() == 15);
        REQUIRE(keys.size() == 15);
        REQUIRE(std::is_sorted(reply.begin(), reply.end(),
                               [](const auto& a, const auto& b) { return a.second < b.second; }));
      }
    }
  });
}

TEST_CASE("engine/filtered search: all that match are answered, whichever way it goes") {
  test::for_each_primitive([](const Primitive& primitive) {
    auto rng = test::make_rng(93);
    Fixture fixture(primitive);
    constexpr std::size_t kKeys = 1500;
    for (std::size_t i = 0; i < kKeys; ++i) {
      fixture.start_put_with(key_of(i), random_vector(rng), "{\"n\": " + std::to_string(i) + "}");
    }
    fixture.finish();
    for (const std::size_t matches :
         std::initializer_list<std::size_t>{0, 1, 3, 40, 400, 1450, 1500}) {
      CAPTURE(matches);
      SearchReport report;
      const auto filter = ".n < " + std::to_string(matches);
      const Reply some = fixture.search_among(filter, random_vector(rng), {.k = 20}, &report);
      CHECK(some.size() == std::min<std::size_t>(20, matches));
      CHECK(report.items == kKeys);
      CHECK(report.effort.complete);
      const Reply all = fixture.search_among(filter, random_vector(rng), {.k = kKeys});
      REQUIRE(all.size() == matches);
      std::set<std::size_t> found;
      for (const auto& [key, distance] : all) found.insert(index_of(key));
      CHECK(found.size() == matches);
      CHECK((matches == 0 || *found.rbegin() == matches - 1));
    }
  });
}

TEST_CASE("engine/filtered search: what is written before it is seen by it") {
  auto rng = test::make_rng(94);
  Fixture fixture(**find_primitive("hnsw"));
  const Vector origin(8, 0.0F);
  CHECK(fixture.search_among(".n == 1", origin, {.k = 3}).empty());
  for (std::size_t i = 0; i < 300; ++i) {
    const std::string key = key_of(rng() % 20);
    switch (rng() % 4) {
      case 0:
        fixture.erase(key);
        break;
      case 1:
        REQUIRE(fixture.collection->set_attributes(key, rng() % 2 == 0 ? "{\"n\": 1}" : "")
                    .has_value());
        break;
      case 2:
        fixture.put(key, random_vector(rng));
        break;
      default:
        fixture.start_put_with(key, random_vector(rng), rng() % 2 == 0 ? "{\"n\": 1}" : "{}");
        fixture.finish();
    }
    std::set<std::string> expected;
    for (std::size_t j = 0; j < 20; ++j) {
      const auto text = fixture.collection->attributes_of(key_of(j));
      if (text && *text == "{\"n\": 1}") expected.insert(key_of(j));
    }
    std::set<std::string> found;
    for (const auto& [one, distance] : fixture.search_among(".n == 1", origin, {.k = 30})) {
      found.insert(one);
    }
    REQUIRE(found == expected);
  }
}

}  // namespace
}  // namespace engram::filtered_search_test
