// SPDX-License-Identifier: Apache-2.0
// Attributes in the engine: what becomes of a key's under puts, erases and failures, and that
// workers may read them meanwhile.
#include "server/engine/attributes.h"

#include <doctest/doctest.h>

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "server/durability/little_endian.h"
#include "tests/server/attributes_fixture.h"
#include "tests/support/memory_sections.h"
#include "tests/support/rows.h"
#include "tests/support/seed.h"

namespace engram::attributes_test {
namespace {

using test::AttributesFixture;
using test::Vector;

const Primitive& flat() {
  return **find_primitive("flat");
}

/// An index that answers nothing, and refuses vectors that begin with a negative number.
class Refusing final : public Index {
 public:
  explicit Refusing(const VectorStore& store) : store_(store) {}

  Status insert(const Insertion& item, Scratch&) override {
    Vector row(store_.dim());
    store_.read(item.slot, row);
    if (row[0] < 0) return fail(ErrorCode::kResourceExhausted, "no room");
    ++size_;
    return {};
  }
  void erase(Slot, Scratch&) override { --size_; }
  Status search(Query, const SearchParams&, Scratch&, std::vector<Hit>& hits) const override {
    hits.clear();
    return {};
  }
  std::size_t size() const noexcept override { return size_; }
  std::size_t memory_bytes() const noexcept override { return 0; }

 private:
  const VectorStore& store_;
  std::atomic<std::size_t> size_{0};
};

const Primitive kRefusing = {
    .name = "refusing",
    .summary = "refuses some",
    .source = "a test",
    .traits = {.concurrent = true},
    .create = [](const IndexContext& context, const Options&) -> Result<std::unique_ptr<Index>> {
      return std::make_unique<Refusing>(context.store);
    }};

/// What a journal makes of the changes that a collection tells.
class Journal final : public ChangeSink {
 public:
  void record(const Change& change) override {
    if (const auto* const put = std::get_if<PutVector>(&change)) {
      keys[std::string(put->key)].clear();
    } else if (const auto* const erase = std::get_if<EraseVector>(&change)) {
      keys.erase(std::string(erase->key));
    } else if (const auto* const set = std::get_if<SetAttributes>(&change)) {
      const auto found = keys.find(std::string(set->key));
      if (found != keys.end()) found->second = set->text;
    }
  }
  GracePeriod::Ticket begin() override { return 0; }
  void end(GracePeriod::Ticket) override {}

  std::map<std::string, std::string> keys;  // with their attributes
};

TEST_CASE("engine/attributes: an overwrite keeps them unless it brings others") {
  AttributesFixture fixture(flat(), 2, 2);
  CHECK_FALSE(fixture.set("a", "{}"));
  fixture.put_with("a", std::nullopt);
  CHECK(fixture.of("a").empty());
  CHECK(fixture.set("a", R"({"x":1})"));
  CHECK(fixture.count() == 1);
  fixture.put_with("a", std::nullopt);
  CHECK(fixture.of("a") == R"({"x":1})");
  fixture.put_with("a", R"({"x":2})");
  CHECK(fixture.of("a") == R"({"x":2})");
  CHECK(fixture.count() == 1);
  fixture.put_with("a", "");
  CHECK(fixture.of("a").empty());
  CHECK(fixture.count() == 0);
  fixture.put_with("b", "{}");
  CHECK(fixture.count() == 1);
  CHECK(fixture.set("b", ""));
  CHECK(fixture.count() == 0);
  fixture.put_with("b", "{}");
  CHECK(fixture.erase("b"));
  CHECK(fixture.of("b") == "-");
  CHECK(fixture.count() == 0);
  fixture.put_with("b", std::nullopt);
  CHECK(fixture.of("b").empty());
}

TEST_CASE("engine/attributes: a write that is under way counts as carried out") {
  AttributesFixture fixture(flat(), 2, 2);
  const Vector vector = {1, 0};
  fixture.start_put("a", vector);
  CHECK(fixture.of("a").empty());
  CHECK(fixture.set("a", "[1]"));
  CHECK(fixture.of("a") == "[1]");
  fixture.start_put("a", vector);  // keeps what the first is to have
  CHECK(fixture.of("a") == "[1]");
  fixture.start_put_with("a", vector, "[2]");
  CHECK(fixture.of("a") == "[2]");
  fixture.start_erase("a");
  CHECK(fixture.of("a") == "-");
  CHECK_FALSE(fixture.set("a", "[3]"));
  fixture.start_put("a", vector);
  CHECK(fixture.of("a").empty());
  fixture.finish();
  CHECK(fixture.of("a").empty());
  CHECK(fixture.count() == 0);
}

/// In any order of writes that wait for each other, some of which fail.
TEST_CASE("engine/attributes: a put that fails changes none, in memory and in the journal") {
  auto rng = test::make_rng(122);
  AttributesFixture fixture(kRefusing, 2, 2);
  fixture.puts_may_fail = true;
  Journal journal;
  fixture.collection->set_change_sink(&journal);
  std::map<std::string, std::string> model;
  for (int round = 0; round < 400; ++round) {
    for (std::uint64_t i = 1 + rng() % 8; i > 0; --i) {
      const std::string key(1, static_cast<char>('a' + rng() % 2));
      const std::string text = rng() % 4 == 0 ? "" : std::to_string(rng() % 1000);
      const bool fails = rng() % 3 == 0;
      const float first = fails ? -1.0F : 1.0F;
      switch (rng() % 5) {
        case 0:
        case 1:
          fixture.start_put_with(key, {first, 0}, std::nullopt);
          if (!fails) model.try_emplace(key);
          break;
        case 2:
          fixture.start_put_with(key, {first, 0}, text);
          if (!fails) model[key] = text;
          break;
        case 3:
          if (!model.contains(key)) break;  // it may be under way, and fail
          CHECK(fixture.set(key, text));
          model[key] = text;
          break;
        default:
          if (rng() % 2 == 0) break;
          fixture.start_erase(key);
          model.erase(key);
      }
    }
    fixture.finish();
    std::size_t count = 0;
    for (const std::string key : {"a", "b"}) {
      const auto found = model.find(key);
      REQUIRE(fixture.of(key) == (found == model.end() ? "-" : found->second));
      count += found != model.end() && !found->second.empty() ? 1 : 0;
    }
    REQUIRE(fixture.count() == count);
    REQUIRE(journal.keys == model);
  }
  fixture.collection->set_change_sink(nullptr);
}

/// In the same frame, of which a crash leaves all or nothing.
TEST_CASE("engine/attributes: a put is recorded with those that it keeps") {
  for (const DecayPolicy policy : {DecayPolicy::kNone, DecayPolicy::kStatic}) {
    AttributesFixture fixture(flat(), 2, 2, {.policy = policy});
    Journal journal;
    fixture.collection->set_change_sink(&journal);
    fixture.put_with("a", R"({"x":1})");
    for (int i = 0; i < 3; ++i) {
      fixture.start_put("a", {1, 2});
      CHECK(journal.keys.at("a") == R"({"x":1})");
    }
    fixture.set("a", "{}");
    fixture.start_put("a", {1, 2});
    CHECK(journal.keys.at("a") == "{}");
    fixture.finish();
    CHECK(fixture.of("a") == "{}");
    fixture.collection->set_change_sink(nullptr);
  }
}

TEST_CASE("engine/attributes: without any, a collection has no memory for them") {
  AttributesFixture fixture(flat(), 2, 1);
  for (int i = 0; i < 300; ++i) fixture.start_put("k" + std::to_string(i), {1, 2});
  fixture.finish();
  CHECK(fixture.collection->attributes().memory_bytes() == 0);
  CHECK(fixture.set("k1", ""));
  CHECK(fixture.collection->attributes().memory_bytes() == 0);
  const std::size_t before = fixture.collection->memory().sum();
  CHECK(fixture.set("k1", R"({"a":)" + std::string(500, '1') + "}"));
  const std::size_t one = fixture.collection->attributes().memory_bytes();
  CHECK(one >= 500);
  CHECK(fixture.collection->memory().sum() == before + one);
  CHECK(fixture.set("k1", ""));
  CHECK(fixture.collection->attributes().memory_bytes() < one - 500);
}

TEST_CASE("engine/attributes: workers read them whole while they are written") {
  auto rng = test::make_rng(121);
  AttributesFixture fixture(flat(), 4, 3);
  std::map<std::string, std::string> model;
  std::vector<int> wrong(400);
  for (int& each : wrong) {
    const std::string key = "k" + std::to_string(rng() % 20);
    const std::string text(1 + rng() % 300, static_cast<char>('a' + rng() % 26));
    if (rng() % 5 == 0) {
      fixture.start_erase(key);
      model.erase(key);
    } else if (rng() % 2 == 0) {
      fixture.start_put(key, test::random_vector(4, rng));
      model.try_emplace(key);
    } else if (rng() % 2 == 0) {
      fixture.start_put_with(key, test::random_vector(4, rng), text);
      model[key] = text;
    } else if (fixture.set(key, text)) {
      model.at(key) = text;
    }
    ++fixture.running;
    fixture.collection->read(
        [&each, end = fixture.collection->slots()](const ReadView& view, Scratch&) {
          for (Slot slot = 0; slot < end; ++slot) {
            const std::string_view read = view.attributes_of(slot);
            each += static_cast<int>(read.find_first_not_of(read.substr(0, 1)) != read.npos);
          }
        },
        [&fixture] { --fixture.running; });
    if (rng() % 8 == 0) fixture.finish();
  }
  fixture.finish();
  CHECK(wrong == std::vector<int>(wrong.size()));
  std::size_t count = 0;
  for (const auto& [key, text] : model) {
    CHECK(fixture.of(key) == text);
    count += text.empty() ? 0 : 1;
  }
  CHECK(fixture.count() == count);
}

test::Sections save(AttributesFixture& fixture) {
  test::Sections sections;
  ++fixture.running;
  fixture.collection->begin_save([&] { --fixture.running; });
  fixture.finish();
  test::MemorySectionWriter writer(sections);
  REQUIRE(fixture.collection->save(writer).has_value());
  fixture.collection->end_save();
  return sections;
}

Status load(AttributesFixture& fixture, const test::Sections& sections) {
  test::MemorySectionReader reader(sections);
  return fixture.collection->load(reader);
}

TEST_CASE("engine/attributes: what is saved is loaded, and a section that is none is refused") {
  AttributesFixture fixture(flat(), 2, 1);
  for (const char* const key : {"a", "b", "c", "d"}) fixture.put(key, {1, 2});
  CHECK_FALSE(save(fixture).contains("attributes"));
  fixture.set("a", R"({"x":1})");
  fixture.set("c", "{}");
  fixture.erase("b");
  test::Sections sections = save(fixture);
  AttributesFixture restored(flat(), 2, 1);
  REQUIRE(load(restored, sections).has_value());
  CHECK(restored.of("a") == R"({"x":1})");
  CHECK(restored.of("b") == "-");
  CHECK(restored.of("c") == "{}");
  CHECK(restored.of("d").empty());
  CHECK(restored.count() == 2);
  CHECK(save(restored).at("attributes") == sections.at("attributes"));

  const auto check_refused = [&] {
    AttributesFixture other(flat(), 2, 1);
    const Status loaded = load(other, sections);
    REQUIRE_FALSE(loaded.has_value());
    CHECK(loaded.error().code == ErrorCode::kDataLoss);
  };
  auto& section = sections.at("attributes");
  const auto whole = section;
  for (std::size_t bytes = 0; bytes < whole.size(); ++bytes) {
    section.resize(bytes);
    check_refused();
    section = whole;
  }
  section.insert(section.end(), 4, std::byte{0});
  check_refused();
  std::string large;
  for (const std::size_t size : {kMostAttributeBytes + 1, std::size_t{0}, std::size_t{0}}) {
    put_string(large, std::string(size, 'x'));
  }
  const auto bytes = as_span(large);
  section.assign(bytes.begin(), bytes.end());
  check_refused();
}

}  // namespace
}  // namespace engram::attributes_test
