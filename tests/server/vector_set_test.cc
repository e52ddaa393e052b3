// SPDX-License-Identifier: Apache-2.0
// What vector sets have that other indexes have not: projections, and an end with the last element.
#include <doctest/doctest.h>

#include <cmath>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "core/metric.h"
#include "server/engine/projection.h"
#include "server/requests/auto_index.h"
#include "server/requests/similarity.h"
#include "server/requests/vector_set.h"
#include "tests/server/request_fixture.h"
#include "tests/support/rows.h"

namespace engram::vector_set_test {
namespace {

using Fixture = test::RequestFixture;
using Vector = std::vector<float>;

Vector project(const Projection& projection, const Vector& vector) {
  Vector projected(projection.to());
  projection.apply(vector, projected);
  return projected;
}

TEST_CASE("projection: its text makes the same one") {
  const auto projection = Projection::create(20, 8, 42).value();
  const auto again = Projection::parse(projection->text(), 8).value();
  std::mt19937_64 rng(1);
  const Vector vector = test::random_vector(20, rng);
  CHECK(project(*projection, vector) == project(*again, vector));
  CHECK(project(*projection, vector) != project(*Projection::create(20, 8, 43).value(), vector));
  for (const char* const text : {"", "20", "20 ", "x 42", "20 42 1", "7 42", "65537 1"}) {
    CAPTURE(text);
    CHECK_FALSE(Projection::parse(text, 8).has_value());
  }
}

TEST_CASE("projection: lengths and products are kept on average") {
  const std::size_t from = 256;
  const std::size_t to = 64;
  std::mt19937_64 rng(2);
  double square = 0;
  double product = 0;
  constexpr int kDraws = 200;
  const Vector a = test::random_vector(from, rng);
  Vector b = test::random_vector(from, rng);
  double length = 0;
  double expected = 0;
  for (std::size_t i = 0; i < from; ++i) {
    length += double{a[i]} * double{a[i]};
    expected += double{a[i]} * double{b[i]};
  }
  for (int seed = 0; seed < kDraws; ++seed) {
    const auto projection = Projection::create(from, to, static_cast<std::uint64_t>(seed)).value();
    const Vector x = project(*projection, a);
    const Vector y = project(*projection, b);
    for (std::size_t i = 0; i < to; ++i) {
      square += double{x[i]} * double{x[i]} / kDraws;
      product += double{x[i]} * double{y[i]} / kDraws;
    }
  }
  CHECK(square == doctest::Approx(length).epsilon(0.05));
  CHECK(std::abs(product - expected) < 0.05 * length);
}

TEST_CASE("projection: what cannot be one is refused") {
  CHECK_FALSE(Projection::create(2, 3, 0).has_value());
  CHECK_FALSE(Projection::create(2, 0, 0).has_value());
  CHECK_FALSE(Projection::create(65'537, 2, 0).has_value());
  CHECK(Projection::create(65'536, 65'536, 0).error().message.find("random numbers, at most") !=
        std::string::npos);
}

TEST_CASE("similarity: 1 for the same, and EPSILON counts from there") {
  CHECK(similarity(Metric::kCosine, 0) == 1);
  CHECK(similarity(Metric::kCosine, 1) == 0.5F);
  CHECK(similarity(Metric::kCosine, 2) == 0);
  CHECK(similarity(Metric::kL2, 3) == 0.25F);
  CHECK(similarity(Metric::kDot, -7) == 7);
  CHECK(is_within(Metric::kCosine, 0.5F, 0.25));
  CHECK_FALSE(is_within(Metric::kCosine, 0.5F, 0.249));
  CHECK(is_within(Metric::kL2, 0.5F, 0.5));
  CHECK_FALSE(is_within(Metric::kL2, 0.5F, 0.25));
}

bool add(Fixture& fixture, const char* element, const Vector& vector) {
  return fixture.ask<bool>(SetPutRequest{.set = "s", .element = element, .vector = vector}).value();
}

bool erase(Fixture& fixture, const char* element) {
  return fixture.ask<bool>(EraseRequest{fixture.index("s"), element}).value();
}

TEST_CASE_FIXTURE(Fixture, "vector sets: one that its first element made goes with its last") {
  CHECK(add(*this, "a", {1, 0}));
  CHECK(is_auto_index(*store, "s"));
  CHECK(add(*this, "b", {0, 1}));
  CHECK_FALSE(add(*this, "a", {0, 1}));
  CHECK(erase(*this, "a"));
  CHECK(store->keyspace().contains("s"));
  CHECK(erase(*this, "b"));
  CHECK_FALSE(store->keyspace().contains("s"));
}

TEST_CASE_FIXTURE(Fixture, "vector sets: a write under way keeps the set") {
  add(*this, "a", {1, 0});
  const IndexRef set = index("s");
  test::Outcome<bool> erased;
  test::Outcome<bool> added;
  start(*store, EraseRequest{set, "a"}, keep(erased));
  start(*store, SetPutRequest{.set = "s", .element = "b", .vector = {0, 1}}, keep(added));
  run_until([&] { return erased.is_finished && added.is_finished; });
  CHECK(erased.answer->value());
  CHECK(added.answer->value());
  CHECK(index("s").collection == set.collection);
  CHECK(set.collection->size() == 1);
}

TEST_CASE_FIXTURE(Fixture, "vector sets: a put that is refused makes no set") {
  SetPutRequest request = {.set = "s", .element = "", .vector = {1, 0}};
  CHECK_FALSE(ask<bool>(request).has_value());
  request = {.set = "s", .element = "a", .vector = {1, 0}, .attributes = "[1]"};
  CHECK_FALSE(ask<bool>(request).has_value());
  request = {.set = "s", .element = "a", .vector = {1, 0}, .reduce = 3};
  CHECK_FALSE(ask<bool>(request).has_value());
  CHECK_FALSE(store->keyspace().contains("s"));
}

}  // namespace
}  // namespace engram::vector_set_test
