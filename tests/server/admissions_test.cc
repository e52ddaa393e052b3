// SPDX-License-Identifier: Apache-2.0
// Puts that are admitted only where nothing lies near, beside everything that may happen meanwhile.
#include "server/engine/admissions.h"

#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "tests/server/collection_fixture.h"
#include "tests/support/seed.h"

namespace engram::admissions_test {
namespace {

using test::Vector;
using Fixture = test::CollectionFixture;
using Near = std::optional<std::string>;
using Rng = std::mt19937_64;

/// A put on condition, which is recorded when `when_recordable` lets it.
void start_put_unless(
    Fixture& fixture, const std::string& key, const Vector& vector, float within,
    std::function<void(const Near&)> decided,
    std::function<void(std::function<void()>)> when_recordable =
        [](const std::function<void()>& go) { go(); }) {
  ++fixture.running;
  fixture.collection->ask_admission(
      {.vector = vector,
       .within = within,
       .when_recordable = std::move(when_recordable),
       .decide = [&fixture, key, vector, decided](const Result<Near>& near) {
         REQUIRE(near.has_value());
         decided(*near);
         if (!*near) fixture.start_put(key, vector);
         --fixture.running;
       }});
}

const Primitive& primitive(std::string_view name) {
  return **find_primitive(name);
}

TEST_CASE("engine/admissions: of those that lie near each other the first is stored, in order") {
  auto rng = test::make_rng(170);
  for (const std::string_view name : {"flat", "hnsw", "hopfield"}) {
    CAPTURE(name);
    Fixture fixture(primitive(name), 2, 4);
    std::map<int, std::vector<Near>> decisions;
    for (int i = 0; i < 1000; ++i) {
      const int group = static_cast<int>(rng() % 200);
      const auto offset = static_cast<float>(rng() % 100) / 1000;
      const std::string key = std::to_string(group) + ":" + std::to_string(decisions[group].size());
      start_put_unless(fixture, key, {static_cast<float>(group), offset}, 0.25F,
                       [&, group](const Near& near) { decisions[group].push_back(near); });
      if (decisions[group].empty()) decisions[group].reserve(50);
      // Far from all of them; nothing waits.
      if (i % 10 == 0) fixture.start_put("far" + std::to_string(i), {-1000, static_cast<float>(i)});
    }
    fixture.finish();
    std::size_t stored = 0;
    for (const auto& [group, nears] : decisions) {
      std::size_t admitted = 0;
      for (const Near& near : nears) {
        if (!near) ++admitted;
        if (near) CHECK(near->substr(0, near->find(':')) == std::to_string(group));
      }
      CHECK(admitted == 1);
      CHECK_FALSE(nears.front().has_value());
      stored += admitted;
    }
    CHECK(fixture.collection->size() == stored + 100);
  }
}

TEST_CASE("engine/admissions: what was recorded after the search began is near as well") {
  Fixture fixture(primitive("flat"), 2, 2);
  Near first;
  Near second;
  std::function<void()> go;
  start_put_unless(
      fixture, "a", {0, 0}, 1, [&](const Near& near) { first = near; },
      [&](std::function<void()> record) { go = std::move(record); });
  start_put_unless(fixture, "b", {5, 0}, 1, [&](const Near& near) { second = near; });
  fixture.loop.run_until([&] { return static_cast<bool>(go); });
  // More than the loop looks at itself; and some that are gone again.
  for (int i = 0; i < 3000; ++i) {
    fixture.start_put("p" + std::to_string(i), {100 + static_cast<float>(i), 0});
  }
  fixture.start_put("gone", {0, 0.25F});
  fixture.start_put("near", {0, 0.5F});
  fixture.start_put("other", {5, 0.5F});
  fixture.loop.run_until([&] { return fixture.running == 2; });
  CHECK(fixture.collection->size() == 3003);
  fixture.start_erase("gone");
  fixture.loop.run_until([&] { return fixture.running == 2; });
  std::exchange(go, {})();
  fixture.loop.run_until([&] { return static_cast<bool>(go); });  // a worker has looked at them
  go();
  fixture.finish();
  CHECK(first == "near");
  CHECK(second == "other");
}

TEST_CASE("engine/admissions: decisions that have gathered leave turns to others") {
  constexpr int kPuts = 500;
  constexpr std::size_t kDim = 784;
  Fixture fixture(primitive("flat"), kDim, 2);
  std::size_t decided = 0;
  std::function<void()> go;
  for (int i = 0; i < kPuts; ++i) {
    const auto when_recordable = [&, i](std::function<void()> record) {
      i == 0 ? void(go = std::move(record)) : record();
    };
    start_put_unless(
        fixture, std::to_string(i), Vector(kDim, static_cast<float>(i)), 0.5F,
        [&](const Near& near) {
          CHECK_FALSE(near.has_value());
          ++decided;
        },
        when_recordable);
  }
  std::vector<std::pair<std::string, float>> found;  // by a search that ends after theirs
  fixture.start_search(Vector(kDim, 0), 1, &found);
  fixture.loop.run_until([&] { return go && fixture.running == kPuts; });
  go();
  CHECK(decided > 0);
  CHECK(decided < kPuts);
  fixture.finish();
  CHECK(decided == kPuts);
  CHECK(fixture.collection->size() == kPuts);
}

TEST_CASE("engine/admissions: what was near and has gone hides nothing, and prevents nothing") {
  for (const bool another : {false, true}) {
    Fixture fixture(primitive("hnsw"), 2, 2);
    fixture.put("nearest", {0, 0.25F});
    if (another) fixture.put("next", {0, 0.5F});
    Near found = "undecided";
    std::function<void()> go;
    start_put_unless(
        fixture, "a", {0, 0}, 1, [&](const Near& near) { found = near; },
        [&](std::function<void()> record) { go = std::move(record); });
    fixture.loop.run_until([&] { return static_cast<bool>(go); });
    fixture.start_erase("nearest");
    fixture.loop.run_until([&] { return fixture.running == 1; });
    std::exchange(go, {})();
    fixture.loop.run_until([&] { return static_cast<bool>(go); });  // it searched again
    go();
    fixture.finish();
    CHECK(found == (another ? Near("next") : Near()));
    CHECK(fixture.collection->get("a").has_value() == !another);
  }
}

TEST_CASE("engine/admissions: an oracle agrees, beside overwrites and erases") {
  auto rng = test::make_rng(171);
  for (int round = 0; round < 20; ++round) {
    Fixture fixture(primitive("flat"), 2, 4);
    std::map<std::string, Vector> model;
    for (int step = 0; step < 300; ++step) {
      const std::string key = std::to_string(rng() % 40);
      const Vector vector = {static_cast<float>(rng() % 20), static_cast<float>(rng() % 20)};
      const auto choice = rng() % 6;
      if (choice == 0) {
        fixture.erase(key);
        model.erase(key);
        continue;
      }
      if (choice == 1) {
        fixture.put(key, vector);
        model[key] = vector;
        continue;
      }
      // Searched and decided in one go, so the model knows what there is.
      Near decided = "undecided";
      start_put_unless(fixture, key, vector, 2, [&](const Near& near) { decided = near; });
      fixture.finish();
      double nearest = 1e9;
      for (const auto& [_, other] : model) {
        nearest = std::min<double>(nearest, std::hypot(other[0] - vector[0], other[1] - vector[1]));
      }
      REQUIRE(decided.has_value() == (nearest <= 2));
      if (!decided) model[key] = vector;
      if (decided) {
        const Vector& near = model.at(*decided);
        CHECK(std::hypot(near[0] - vector[0], near[1] - vector[1]) == doctest::Approx(nearest));
      }
    }
  }
}

}  // namespace
}  // namespace engram::admissions_test
