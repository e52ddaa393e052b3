// SPDX-License-Identifier: Apache-2.0
// Recalls, surveys and tuning over a collection that is written to meanwhile.
#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "server/durability/change.h"
#include "tests/server/collection_fixture.h"
#include "tests/support/memory_sections.h"

namespace engram::collection_recall_test {
namespace {

using test::MemorySectionReader;
using test::MemorySectionWriter;
using test::Sections;
using test::Vector;
using Fixture = test::CollectionFixture;

constexpr std::size_t kDim = 8;

template <class Body>
void for_both(Body body) {
  for (const char* const name : {"mean", "mean.saved"}) {
    CAPTURE(name);
    body(**find_primitive(name));
  }
}

std::string key(std::size_t number) {
  return "key:" + std::to_string(number);
}

Vector filled(float value) {
  return Vector(kDim, value);
}

/// Keys 0, 1, ... with vectors of that number.
void fill(Fixture& fixture, std::size_t keys) {
  for (std::size_t i = 0; i < keys; ++i) fixture.start_put(key(i), filled(static_cast<float>(i)));
  fixture.finish();
}

struct Recalled {
  Vector state;
  std::vector<std::string> support;
};

void start_recall(Fixture& fixture, std::size_t top, Recalled* recalled) {
  ++fixture.running;
  const Status begun = fixture.collection->recall(
      [top, recalled](const ReadView& view, const SlotSet* items, Scratch& scratch) {
        const Vector cue = filled(0);
        Recall recall;
        const Status status =
            view.recaller().recall({.vector = cue}, {.top = top, .items = items}, scratch, recall);
        if (!status) return;
        recalled->state = recall.state;
        for (const Share& share : recall.support) {
          recalled->support.emplace_back(view.key_of(share.slot));
        }
      },
      [&fixture] { --fixture.running; });
  REQUIRE(begun.has_value());
}

TEST_CASE("engine/collection_recall: meets every key once while all are overwritten") {
  for_both([](const Primitive& primitive) {
    constexpr std::size_t kKeys = 2049;  // it takes a while to walk over them
    Fixture fixture(primitive);
    fill(fixture, kKeys);
    for (std::size_t round = 0; round < 10; ++round) {
      std::vector<Recalled> all(8);
      for (Recalled& recalled : all) {
        for (std::size_t i = round; i < kKeys; i += 10) {
          fixture.start_put(key(i), filled(static_cast<float>(i)));
        }
        start_recall(fixture, 2 * kKeys, &recalled);
      }
      fixture.finish();
      for (const Recalled& recalled : all) {
        REQUIRE(recalled.state == filled((kKeys - 1) / 2.0F));
        REQUIRE(recalled.support.size() == kKeys);
        const std::set<std::string> keys(recalled.support.begin(), recalled.support.end());
        REQUIRE(keys.size() == kKeys);
      }
    }
    fixture.loop.run_until([&] { return fixture.collection->unsettled() == 0; });
  });
}

struct Surveyed {
  std::vector<Fact> facts;
  Status status = {};
  bool has_ended = false;
};

void start_survey(Fixture& fixture, Surveyed* surveyed) {
  ++fixture.running;
  fixture.collection->survey(
      {.sample = 65'536}, 0, std::nullopt,
      [surveyed](const ReadView&, const Survey& survey) { surveyed->facts = survey.diagnosis(); },
      [&fixture, surveyed](const Status& status) {
        surveyed->status = status;
        surveyed->has_ended = true;
        --fixture.running;
      });
}

std::string fact(const std::vector<Fact>& facts, std::string_view name) {
  for (const Fact& fact : facts) {
    if (fact.name == name) return fact.value;
  }
  return "none";
}

TEST_CASE("engine/collection_recall: a survey keeps to what was there, and holds up no write") {
  for_both([](const Primitive& primitive) {
    constexpr std::size_t kKeys = 400;
    Fixture fixture(primitive);
    fill(fixture, kKeys);
    Surveyed undisturbed;
    start_survey(fixture, &undisturbed);
    fixture.finish();
    REQUIRE(undisturbed.status.has_value());
    REQUIRE(fact(undisturbed.facts, "sample") == std::to_string(kKeys));
    Surveyed surveyed;
    start_survey(fixture, &surveyed);
    int written = 0;
    while (!surveyed.has_ended) {
      fixture.start_put(key(kKeys - 1), filled(1e6F));  // the last that the survey looks at
      const int running = fixture.running;
      fixture.loop.run_until([&] { return fixture.running < running; });
      ++written;
    }
    fixture.finish();
    REQUIRE(written > 10);
    CHECK(fact(surveyed.facts, "radius") == fact(undisturbed.facts, "radius"));
    fixture.loop.run_until([&] { return fixture.collection->unsettled() == 0; });
    const auto overwrite = [&] {
      for (int i = 0; i < written; ++i) fixture.put(key(kKeys - 1), filled(0));
    };
    for (int i = 0; i < 130; i += written) overwrite();  // slots come back 64 at a time
    const std::size_t slots = fixture.collection->slots();
    overwrite();
    CHECK(fixture.collection->slots() == slots);
  });
}

TEST_CASE("engine/collection_recall: surveys without a pause do not keep slots for ever") {
  for_both([](const Primitive& primitive) {
    Fixture fixture(primitive);
    fill(fixture, 20);
    Surveyed first;
    Surveyed second;
    start_survey(fixture, &first);
    start_survey(fixture, &second);
    for (int i = 0; i < 2'000; ++i) {
      for (Surveyed* const surveyed : {&first, &second}) {
        if (std::exchange(surveyed->has_ended, false)) start_survey(fixture, surveyed);
      }
      fixture.start_put(key(0), filled(0));
      const int running = fixture.running;
      fixture.loop.run_until([&] { return fixture.running < running; });
    }
    CHECK(fixture.collection->slots() < 1'000);
    fixture.finish();
  });
}

std::string radius(Fixture& fixture) {
  std::string text;
  ++fixture.running;
  fixture.collection->read(
      [&](const ReadView& view, Scratch&) { text = fact(view.describe_recaller(), "radius"); },
      [&] { --fixture.running; });
  fixture.finish();
  return text;
}

Sections save(Fixture& fixture) {
  Sections sections;
  ++fixture.running;
  fixture.collection->begin_save([&] { --fixture.running; });
  fixture.finish();
  MemorySectionWriter writer(sections);
  REQUIRE(fixture.collection->save(writer).has_value());
  fixture.collection->end_save();
  return sections;
}

Status load(Fixture& fixture, const Sections& sections) {
  MemorySectionReader reader(sections);
  ENGRAM_TRY(fixture.collection->load(reader));
  if (fixture.collection->spec().primitive->traits.saves_structure) return {};
  ++fixture.running;
  fixture.collection->rebuild([&](const Status& status) {
    CHECK(status.has_value());
    --fixture.running;
  });
  fixture.finish();
  return {};
}

TEST_CASE("engine/collection_recall: of several tunings at once the last one stays, and is saved") {
  for_both([](const Primitive& primitive) {
    Fixture fixture(primitive);
    fill(fixture, 5);
    for (int i = 1; i <= 50; ++i) fixture.start_tune({{"radius", i}, {"unknown", -i}});
    fixture.finish();
    CHECK(radius(fixture) == std::to_string(50.0));
    const Sections sections = save(fixture);
    Fixture restored(primitive);
    REQUIRE(load(restored, sections).has_value());
    CHECK(restored.collection->size() == 5);
    CHECK(radius(restored) == std::to_string(50.0));
    CHECK(save(restored).at("tuning") == sections.at("tuning"));
  });
}

TEST_CASE("engine/collection_recall: what was never tuned, or saved by an older engram, loads") {
  for_both([](const Primitive& primitive) {
    Fixture fixture(primitive);
    fill(fixture, 5);
    const Sections sections = save(fixture);
    CHECK_FALSE(sections.contains("tuning"));
    Fixture restored(primitive);
    REQUIRE(load(restored, sections).has_value());
    CHECK(radius(restored) == std::to_string(0.0));
  });
}

TEST_CASE("engine/collection_recall: a section of tuning that is none is refused") {
  const Primitive& primitive = **find_primitive("mean");
  Fixture fixture(primitive);
  fill(fixture, 5);
  fixture.start_tune({{"radius", 1}});
  fixture.finish();
  const Sections sound = save(fixture);
  const auto encoded = [](const Change& change) {
    std::string bytes;
    encode(change, bytes);
    return bytes;
  };
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  const std::string good = encoded(TuneIndex{1, {{"radius", 1}}});
  for (const std::string& bad :
       {std::string(), good.substr(0, good.size() - 1), good + good, encoded(EraseVector{1, "k"}),
        encoded(TuneIndex{1, {{"x", kNan}}}), encoded(TuneIndex{1, {{"x", -INFINITY}}})}) {
    Sections sections = sound;
    const auto bytes = std::as_bytes(std::span(bad));
    sections["tuning"].assign(bytes.begin(), bytes.end());
    Fixture restored(primitive);
    const Status loaded = load(restored, sections);
    REQUIRE_FALSE(loaded.has_value());
    CHECK(loaded.error().code == ErrorCode::kDataLoss);
  }
}

TEST_CASE("engine/collection_recall: a tuning that is not finite changes nothing") {
  Fixture fixture(**find_primitive("mean"));
  fixture.start_tune({{"radius", 2}});
  fixture.finish();
  for (const double bad : {std::nan(""), double{INFINITY}}) {
    const Status tuned =
        fixture.collection->tune({{"radius", 3}, {"x", bad}}, [] { CHECK(false); });
    REQUIRE_FALSE(tuned.has_value());
    CHECK(tuned.error().code == ErrorCode::kInvalidArgument);
  }
  CHECK(radius(fixture) == std::to_string(2.0));
}

}  // namespace
}  // namespace engram::collection_recall_test
