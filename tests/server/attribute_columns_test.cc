// SPDX-License-Identifier: Apache-2.0
// Columns of attributes: whatever is written while they are built and read, they say at every slot
// what the attributes say.
#include "server/engine/attribute_columns.h"

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/text.h"
#include "server/json/json.h"
#include "tests/server/attributes_fixture.h"
#include "tests/support/rows.h"
#include "tests/support/seed.h"

namespace engram::attribute_columns_test {
namespace {

using test::AttributesFixture;
using Columns = AttributeColumns::Columns;
using Fields = std::vector<std::string>;
using Rng = std::mt19937_64;

const Primitive& primitive(std::string_view name) {
  return **find_primitive(name);
}

// --- Random attributes ---

constexpr std::array<std::string_view, 5> kNames = {"a", "b", "meta", "x", "\xc3\xa9"};
const Fields kFields = {"a", "b", "meta", "x", "\xc3\xa9", "meta.a", "meta.x", "meta.meta.b", "no"};

std::string random_value(Rng& rng, int depth);

std::string random_object(Rng& rng, int depth) {
  std::string text = "{";
  for (const std::string_view name : kNames) {
    if (rng() % 2 == 0) continue;
    if (text.size() > 1) text += ",";
    text += "\"" + std::string(name) + "\": " + random_value(rng, depth - 1);
  }
  return text + "}";
}

std::string random_list(Rng& rng, int depth) {
  std::string text = "[";
  for (std::uint64_t i = rng() % 4; i > 0; --i) {
    if (text.size() > 1) text += ",";
    text += random_value(rng, depth - 1);
  }
  return text + "]";
}

std::string random_value(Rng& rng, int depth) {
  switch (rng() % (depth > 0 ? 9 : 6)) {
    case 0:
      return "null";
    case 1:
      return rng() % 2 == 0 ? "true" : "false";
    case 2:
      return std::to_string(static_cast<int>(rng() % 2000) - 1000);
    case 3: {
      constexpr std::array<std::string_view, 5> kNumbers = {"-0.0", "1e308", "-1e-308", "0.1",
                                                            "18446744073709551615"};
      return std::string(kNumbers[rng() % kNumbers.size()]);
    }
    case 4:
      return "\"" + std::string(rng() % 20, static_cast<char>('a' + rng() % 4)) + "\"";
    case 5:
      return R"("\u00e9\n12")";
    case 6:
    case 7:
      return random_object(rng, depth);
    default:
      return random_list(rng, depth);
  }
}

// --- What attributes say, and what a column says ---

std::string rendered(const JsonValue& value) {
  switch (value.kind()) {
    case JsonKind::kNull:
      return "null";
    case JsonKind::kFalse:
      return "false";
    case JsonKind::kTrue:
      return "true";
    case JsonKind::kNumber:
      return number_text(value.number());
    case JsonKind::kString:
      return "'" + std::string(value.string()) + "'";
    case JsonKind::kObject:
      return "object";
    case JsonKind::kArray:
      break;
  }
  std::string text = "[";
  value.for_each_item([&](const JsonValue& item) { text += rendered(item) + ","; });
  return text + "]";
}

std::string rendered(const Column& column, Cell cell) {
  switch (cell.kind()) {
    case CellKind::kMissing:
      return "";
    case CellKind::kNull:
      return "null";
    case CellKind::kFalse:
      return "false";
    case CellKind::kTrue:
      return "true";
    case CellKind::kNumber:
      return number_text(cell.value());
    case CellKind::kString:
      return "'" + std::string(column.string(cell)) + "'";
    case CellKind::kObject:
      return "object";
    case CellKind::kList:
      break;
  }
  std::string text = "[";
  for (const Cell item : column.list(cell).cells) text += rendered(column, item) + ",";
  return text + "]";
}

std::string expected(JsonReader& reader, std::string_view attributes, std::string_view field) {
  if (attributes.empty()) return "";
  auto value = reader.read(attributes);
  REQUIRE(value);
  for (;;) {
    const std::size_t dot = field.find('.');
    const auto found = value->member(field.substr(0, dot));
    if (!found) return "";
    if (dot == std::string_view::npos) return rendered(*found);
    value = *found;
    field.remove_prefix(dot + 1);
  }
}

class ColumnsFixture : public AttributesFixture {
 public:
  using AttributesFixture::AttributesFixture;

  /// Has the columns looked at when they are there, and, for as long as they are kept, by workers.
  void start_ask(const Fields& fields, std::size_t most_bytes = AttributeColumns::kMostBytes) {
    ++running;
    collection->ask_columns({.fields = fields,
                             .ready =
                                 [this, fields](Result<Columns> columns) {
                                   REQUIRE(columns);
                                   REQUIRE(columns->size() == fields.size());
                                   check(*columns, fields);
                                   held.push_back({*columns, fields});
                                   start_reading(std::move(*columns));
                                   --running;
                                 },
                             .most_bytes = most_bytes});
  }
  void ask(const Fields& fields, std::size_t most_bytes = AttributeColumns::kMostBytes) {
    start_ask(fields, most_bytes);
    finish();
  }

  /// At every slot, those between two keys included.
  void check(const Columns& columns, const Fields& fields) {
    ++checks;
    for (std::size_t i = 0; i < fields.size(); ++i) {
      REQUIRE(columns[i]->field() == fields[i]);
      for (Slot slot = 0; slot < collection->slots(); ++slot) {
        const std::string_view text = collection->attributes().text(slot);
        REQUIRE(rendered(*columns[i], columns[i]->at(slot)) == expected(reader, text, fields[i]));
      }
    }
  }

  /// Those that were asked for lately, and may have gone from the collection: they are as right for
  /// as long as they are held.
  void check_held(std::size_t most = 0) {
    for (const auto& [columns, fields] : held) check(columns, fields);
    while (held.size() > most) held.erase(held.begin());
  }

  void start_reading(Columns columns) {
    ++running;
    collection->read(
        [this, columns = std::move(columns)](const ReadView&, Scratch&) {
          std::size_t bytes = 0;
          for (const auto& column : columns) {
            for (Slot slot = 0; slot < column->end(); ++slot) {
              bytes += rendered(*column, column->at(slot)).size();
            }
          }
          rendered_bytes += bytes;
        },
        [this] { --running; });
  }

  void start_write(Rng& rng, std::size_t keys) {
    const std::string key = "k" + std::to_string(rng() % keys);
    switch (rng() % 6) {
      case 0:
        return start_erase(key);
      case 1:
        return start_put(key, test::random_vector(4, rng));
      case 2:
      case 3:
        return start_put_with(key, test::random_vector(4, rng), random_object(rng, 3));
      case 4:
        set(key, random_object(rng, 3));
        return;
      default:
        set(key, rng() % 4 == 0 ? "" : random_object(rng, 2));
    }
  }

  JsonReader reader;
  std::vector<std::pair<Columns, Fields>> held;
  std::size_t checks = 0;
  std::atomic<std::size_t> rendered_bytes{0};
};

Fields random_fields(Rng& rng) {
  Fields fields;
  for (const std::string& field : kFields) {
    if (rng() % 3 == 0) fields.push_back(field);
  }
  return fields;
}

TEST_CASE("engine/attribute_columns: columns say what the attributes say, whatever is written") {
  auto rng = test::make_rng(130);
  for (const std::string_view name : {"flat", "hnsw", "mean"}) {
    ColumnsFixture fixture(primitive(name), 4, 3);
    for (int round = 0; round < 60; ++round) {
      for (std::uint64_t i = rng() % 30; i > 0; --i) fixture.start_write(rng, 40);
      // Few bytes, so that some go, and are built anew.
      fixture.start_ask(random_fields(rng), rng() % 30'000);
      for (std::uint64_t i = rng() % 30; i > 0; --i) fixture.start_write(rng, 40);
      if (rng() % 2 == 0) fixture.start_ask(random_fields(rng));
      if (rng() % 2 == 0) fixture.finish();
      fixture.start_ask(random_fields(rng));
      fixture.check_held(2);
    }
    fixture.finish();
    fixture.ask(kFields);
    CHECK(fixture.checks >= 120);
  }
}

TEST_CASE("engine/attribute_columns: a build of many steps misses none of the writes beside it") {
  auto rng = test::make_rng(131);
  ColumnsFixture fixture(primitive("flat"), 4, 3);
  constexpr int kKeys = 4000;
  for (int i = 0; i < kKeys; ++i) {
    fixture.start_put_with("k" + std::to_string(i), {1, 2, 3, 4}, random_object(rng, 3));
  }
  fixture.finish();
  for (int round = 0; round < 2; ++round) {
    const std::size_t before = fixture.checks;
    fixture.start_ask(kFields, 1);
    CHECK(fixture.checks == before);
    fixture.loop.run_until([&] {
      for (int i = 0; i < 20; ++i) fixture.start_write(rng, kKeys + 50);
      return fixture.checks > before;
    });
    fixture.finish();
    fixture.check_held();
    fixture.ask({"no"}, 1);  // the others go
    CHECK(fixture.collection->columns().count() == 1);
  }
}

TEST_CASE("engine/attribute_columns: a build ends however much is written in each of its turns") {
  auto rng = test::make_rng(132);
  ColumnsFixture fixture(primitive("flat"), 4, 2);
  constexpr int kKeys = 3000;
  const auto key = [](int i) { return "k" + std::to_string(i); };
  for (int i = 0; i < kKeys; ++i) fixture.start_put_with(key(i), {1, 2, 3, 4}, R"({"a": 1})");
  fixture.finish();
  for (const int written : {1, kKeys}) {
    const std::size_t before = fixture.checks;
    int turns = 0;
    fixture.start_ask(kFields, 1);
    fixture.loop.run_until([&] {
      for (int i = 0; i < kKeys; ++i) fixture.set(key(i % written), random_object(rng, 2));
      REQUIRE(++turns < 1000);
      return fixture.checks > before;
    });
    fixture.finish();
    fixture.check_held();
    fixture.ask({"no such field"}, 1);  // the others go
  }
}

TEST_CASE("engine/attribute_columns: what is there is answered at once, and kept right by writes") {
  ColumnsFixture fixture(primitive("flat"), 2, 1);
  // Before there are any attributes, and any keys.
  fixture.start_ask({"year"});
  CHECK(fixture.checks == 1);
  fixture.start_put_with("a", {1, 2}, R"({"year": 1980})");
  fixture.start_ask({"year"});
  CHECK(fixture.checks == 2);
  CHECK(fixture.set("a", R"({"year": "1980"})"));
  fixture.start_ask({"year", "year"});
  CHECK(fixture.checks == 3);
  fixture.finish();
  CHECK(fixture.erase("a"));
  fixture.put("b", {1, 2});
  fixture.start_ask({"year"});
  CHECK(fixture.checks == 4);
  fixture.start_ask({});
  CHECK(fixture.checks == 5);
  fixture.finish();
}

TEST_CASE("engine/attribute_columns: those that were not asked for lately go, and take no memory") {
  ColumnsFixture fixture(primitive("flat"), 2, 2);
  Collection& collection = *fixture.collection;
  for (int i = 0; i < 500; ++i) {
    fixture.start_put_with("k" + std::to_string(i), {1, 2},
                           R"({"a":1,"b":")" + std::to_string(i) + R"(","c":[]})");
  }
  fixture.finish();
  const std::size_t without = collection.memory().sum();
  const auto ask = [&](const Fields& fields,
                       std::size_t most_bytes = AttributeColumns::kMostBytes) {
    fixture.ask(fields, most_bytes);
    fixture.held.clear();
  };
  ask({"a"});
  const std::size_t one = collection.columns().memory_bytes();
  CHECK(one >= 500 * sizeof(Cell));
  CHECK(collection.memory().sum() == without + one);
  ask({"b"});
  ask({"a"});
  CHECK(collection.columns().count() == 2);
  ask({"c"}, 3 * one);  // b takes more
  CHECK(collection.columns().count() == 2);
  const std::size_t before = fixture.checks;
  fixture.start_ask({"a", "c"});
  CHECK(fixture.checks == before + 1);
  ask({"a", "b", "c"}, 1);  // what one asks for together stays
  CHECK(collection.columns().count() == 3);
  Fields many;
  for (int i = 0; i < 100; ++i) many.push_back("f" + std::to_string(i));
  for (const std::string& field : many) ask({field});
  CHECK(collection.columns().count() == AttributeColumns::kMostColumns);
  ask(many);
  CHECK(collection.columns().count() == many.size());
  ask({"a"});
  CHECK(collection.columns().count() == AttributeColumns::kMostColumns);
}

TEST_CASE("engine/attribute_columns: no column of a build goes before all who wait have theirs") {
  ColumnsFixture fixture(primitive("flat"), 2, 2);
  for (int i = 0; i < 500; ++i)
    fixture.start_put_with("k" + std::to_string(i), {1, 2}, R"({"a":1})");
  fixture.finish();
  for (const char* const field : {"a", "b", "c", "d"}) fixture.start_ask({field}, 1);
  fixture.finish();
  CHECK(fixture.checks == 4);
  CHECK(fixture.collection->columns().count() == 3);  // of the second build, none was built again
  constexpr std::size_t kMany = 2 * AttributeColumns::kMostColumns;
  for (std::size_t i = 0; i < kMany; ++i) fixture.start_ask({"f" + std::to_string(i)});
  fixture.finish();
  CHECK(fixture.checks == 4 + kMany);
  CHECK(fixture.collection->columns().count() == AttributeColumns::kMostColumns);
}

TEST_CASE("engine/attribute_columns: what was overwritten does not fill the memory") {
  ColumnsFixture fixture(primitive("flat"), 2, 1);
  fixture.put("a", {1, 2});
  std::size_t rebuilt = 0;
  for (int i = 0; i < 10'000; ++i) {
    fixture.set("a", R"({"s":")" + std::string(300, 'x') + std::to_string(i) + "\"}");
    if (i % 100 != 0) continue;
    rebuilt += fixture.collection->columns().count() == 0 ? 1 : 0;
    fixture.ask({"s"});
    fixture.check_held();
    REQUIRE(fixture.collection->columns().memory_bytes() < std::size_t{3} << 20);
  }
  CHECK(rebuilt >= 2);
}

}  // namespace
}  // namespace engram::attribute_columns_test
