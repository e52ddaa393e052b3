// SPDX-License-Identifier: Apache-2.0
// Filters: what both grammars read and refuse, and of which attributes a filter is true. The
// answers of a server are compared with an evaluator in Python by tests/e2e/test_filters.py.
#include "server/filters/filter.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "server/filters/column.h"
#include "server/filters/evaluation.h"
#include "tests/support/seed.h"

namespace engram::filter_test {
namespace {

/// Columns of what a filter names, of some attributes by slot.
std::unique_ptr<BoundFilter> bound_to(std::string_view text,
                                      const std::vector<std::string>& attributes) {
  auto filter = Filter::compile(text);
  REQUIRE_MESSAGE(filter.has_value(), text);
  std::vector<std::shared_ptr<Column>> columns;
  std::vector<Column*> written;
  for (const std::string& field : filter->fields()) {
    columns.push_back(std::make_shared<Column>(field));
    written.push_back(columns.back().get());
  }
  AttributeReader reader;
  for (std::size_t i = 0; i < attributes.size(); ++i) {
    REQUIRE(reader.store(written, static_cast<Slot>(i), attributes[i]).has_value());
  }
  return std::make_unique<BoundFilter>(std::make_shared<Filter>(std::move(*filter)),
                                       BoundFilter::Columns(columns.begin(), columns.end()));
}

bool matches(std::string_view text, const std::string& attributes) {
  return bound_to(text, {attributes})->accepts(0);
}

std::string error_of(std::string_view text) {
  const auto filter = Filter::compile(text);
  return filter ? "" : filter.error().message;
}

std::string near(std::string_view rest) {
  return "syntax error in FILTER expression near: " + std::string(rest);
}

TEST_CASE("filters: an expression of Redis means what it means there") {
  const std::string alice = R"({"age": 25, "name": "Alice", "active": true, "scores": [85, 90],)"
                            R"( "city": "New York", "none": null, "zero": 0, "empty": "",)"
                            R"( "year": "1984", "tags": ["a", "b", 3, null], "deep": {"x": 1},)"
                            R"( "mixed": [1, {"x": 1}], "nested": [[1]], "neg": -0.0,)"
                            R"( "big": 1e308, "esc": "a\"b\\\né", "no": [], "sp": " 12"})";
  const struct {
    const char* text;
    bool is_true;
  } cases[] = {
      {".age == 25", true},
      {".age != 25", false},
      {".age > 24.5 and .age < 26", true},
      {".age >= 25 && .age <= 25", true},
      {".age < 20 or .city == 'New York'", true},
      {".age<20||.name=='Alice'", true},
      {".name == \"alice\"", false},
      {".active", true},
      {".active == 1", true},
      {".active == true and .active != false", true},
      {"!.active", false},
      {"not .active or !!.active", true},
      {"!!.age == 1", true},
      {"!(.age == 25)", false},
      {"not .age == 0", true},  // (not .age) == 0
      {".zero", false},
      {".empty", false},
      {".none", false},
      {".none == null", true},
      {".age == null", false},
      {".age != null", true},
      {"(.none == null)", true},
      {".no", true},
      {".age in [25, 35]", true},
      {".age in [24, '25']", true},
      {".age in [1, 2, 3, 4, 5, 6, 7, 8, 9, 25]", true},
      {".age in []", false},
      {".name in ['Bob', \"Alice\",]", true},
      {".none in [null]", true},
      {"'a' in .tags", true},
      {"3 in .tags", true},
      {"'3' in .tags", true},
      {"null in .tags", true},
      {"'z' in .tags", false},
      {"'c' in .tags", false},
      {"'lic' in .name", true},
      {"'' in .name", true},
      {"'ork' in .city and 'xyz' in .name", false},
      {".name in 'Dear Alice!'", true},
      {".name in ''", false},
      {"5 in .name", false},
      {".age in .scores", false},
      {"85 in .scores", true},
      {".age + 60 in .scores", true},
      {".year == 1984", true},
      {".year > 1980", true},
      {".year + 1 == 1985", true},
      {".sp == 12", true},
      {".name == 0", true},  // what spells no number counts as 0
      {".scores == 0", true},
      {".scores == 'x'", true},
      {".name < 1", true},
      {"0 in .nested", true},
      {".age + 10 > 34", true},
      {".age * 2 == 50", true},
      {".age / 5 == 5", true},
      {".age % 2 == 1", true},
      {".age ** 2 > 600", true},
      {"2 ** 3 ** 2 == 512", true},
      {"2 + 3 * 4 == 14", true},
      {"(2 + 3) * 4 == 20", true},
      {"10 - 4 - 3 == 3", true},
      {"-5 + 5 == 0", true},
      {".age -5 == 20", true},
      {".age-5 == 20", false},  // a field "age-5"
      {"2 * -3 == -6", true},
      {"1e-3 == 0.001", true},
      {"1 / 0 > 1e308", true},
      {"0 / 0 == 0 / 0", false},
      {"-7 % 3 == -1", true},
      {".neg == 0", true},
      {".big == 1e308", true},
      {".big * 10 > .big", true},
      {"'foo' == 'foo'", true},
      {"1 in [1, 2] and 'b' in 'abc'", true},
      {".esc == \"a\\\"b\\\\\\n\\u00e9\"", true},
      {".esc == 'a\"b\\\\\\né'", true},
      {"'\\ud83d\\ude00' == '😀'", true},
      {".age", true},
      {"1", true},
      {"'x'", true},
      {"''", false},
      {"null", false},
      {"[]", true},
      {"[0]", true},
      {".name == .name", true},
      {".name == .city", false},
      {".scores == .tags", true},  // lists are no numbers, so both count as 0
      {".missing", false},
      {"!.missing", false},
      {".missing != 1", false},
      {".missing == 1 or .age == 25", false},
      {".age == 25 or .missing", false},
      {".deep", false},
      {"!.deep", false},
      {".mixed", false},
      {"1 in .mixed", false},
      {"1 > 2 == 0", true},
      {".age > 20 == true", true},
  };
  for (const auto& one : cases) {
    CAPTURE(std::string(one.text));
    CHECK(matches(one.text, alice) == one.is_true);
  }
  CHECK_FALSE(matches("!.age", ""));
  CHECK(matches("1 == 1", ""));
  CHECK(matches(".5 == 1", R"({"5": 1})"));
  CHECK(matches(".größe > 1", R"({"größe": 2})"));
  CHECK(matches(".a_b-c == 1", R"({"a_b-c": 1})"));
}

TEST_CASE("filters: what Redis cannot read is quoted from where reading ended") {
  CHECK(error_of("") == near(""));
  CHECK(error_of(".y ==") == near(".y =="));
  CHECK(error_of(".y > foo") == near(".y > foo"));
  CHECK(error_of("foo > 3") == near(" > 3"));
  CHECK(error_of(".y = 3") == near(" 3"));
  CHECK(error_of(".y == 'abc") == near(".y == 'abc"));
  CHECK(error_of(".y == #1") == near("#1"));
  CHECK(error_of(".y == 1.2.3 and 1") == near(" and 1"));
  CHECK(error_of(".a.b == 1") == near(".a.b == 1"));
  CHECK(error_of("(.a == 1") == near("(.a == 1"));
  CHECK(error_of(".a == 1)") == near(".a == 1)"));
  CHECK(error_of("()") == near("()"));
  CHECK(error_of("1 2 +") == near("1 2 +"));
  CHECK(error_of(".a not") == near(".a not"));
  CHECK(error_of("* 3") == near("* 3"));
  CHECK(error_of(".a in [1 2]") == near("2]"));
  CHECK(error_of(".a in [[1]]") == near("[1]]"));
  CHECK(error_of(".a in [,]") == near(",]"));
  CHECK(error_of(".a in [1") == near(".a in [1"));
  CHECK(error_of(". == 1") == near(". == 1"));
  CHECK(error_of(std::string_view(".a\0b", 4)) == near(std::string_view("\0b", 2)));
  CHECK(error_of(std::string(300, '#')) == near(std::string(256, '#')));
}

TEST_CASE("filters: JSON compares values of a kind, and of a missing field only ne and not hold") {
  const std::string item = R"({"n": 5, "s": "abc", "t": true, "f": false, "z": null, "i": 1,)"
                           R"( "tags": ["x", "y", 7], "o": {"p": {"q": -0.0}, "l": [1]}, "e": ""})";
  const struct {
    const char* text;
    bool is_true;
  } cases[] = {
      {R"({"op":"eq","field":"n","value":5})", true},
      {R"({"op":"eq","field":"n","value":5.0})", true},
      {R"({"op":"eq","field":"n","value":"5"})", false},
      {R"({"op":"ne","field":"n","value":"5"})", true},
      {R"({"op":"eq","field":"t","value":true})", true},
      {R"({"op":"eq","field":"t","value":1})", false},
      {R"({"op":"eq","field":"i","value":true})", false},
      {R"({"op":"eq","field":"f","value":false})", true},
      {R"({"op":"eq","field":"z","value":null})", true},
      {R"({"op":"eq","field":"missing","value":null})", false},
      {R"({"op":"ne","field":"missing","value":null})", true},
      {R"({"op":"eq","field":"e","value":""})", true},
      {R"({"op":"lt","field":"n","value":6})", true},
      {R"({"op":"lte","field":"n","value":5})", true},
      {R"({"op":"gt","field":"n","value":5})", false},
      {R"({"op":"gte","field":"n","value":5})", true},
      {R"({"op":"gt","field":"s","value":"abb"})", true},
      {R"({"op":"lt","field":"s","value":"abc"})", false},
      {R"({"op":"lt","field":"s","value":5})", false},
      {R"({"op":"gte","field":"s","value":0})", false},
      {R"({"op":"lt","field":"missing","value":5})", false},
      {R"({"op":"lt","field":"t","value":true})", false},
      {R"({"op":"in","field":"s","value":["q","abc"]})", true},
      {R"({"op":"in","field":"n","value":["5",null]})", false},
      {R"({"op":"in","field":"z","value":["5",null]})", true},
      {R"({"op":"in","field":"n","value":[]})", false},
      {R"({"op":"in","field":"missing","value":[null]})", false},
      {R"({"op":"eq","field":"tags","value":"y"})", true},
      {R"({"op":"eq","field":"tags","value":7})", true},
      {R"({"op":"ne","field":"tags","value":"y"})", false},
      {R"({"op":"in","field":"tags","value":["q", 7]})", true},
      {R"({"op":"gt","field":"tags","value":1})", false},
      {R"({"op":"exists","field":"tags"})", true},
      {R"({"op":"exists","field":"z"})", true},
      {R"({"op":"exists","field":"o"})", true},
      {R"({"op":"exists","field":"o.p.q"})", true},
      {R"({"op":"exists","field":"o.p.r"})", false},
      {R"({"op":"exists","field":"n.p"})", false},
      {R"({"op":"exists","field":"missing"})", false},
      {R"({"op":"eq","field":"o.p.q","value":0})", true},
      {R"({"op":"eq","field":"o.l","value":1})", true},
      {R"({"op":"eq","field":"o","value":1})", false},
      {R"({"op":"not","filters":[{"op":"lt","field":"missing","value":1}]})", true},
      {R"({"op":"and","filters":[{"op":"eq","field":"n","value":5},{"op":"eq","field":"i","value":1}]})",
       true},
      {R"({"op":"or","filters":[{"op":"eq","field":"n","value":6},{"op":"exists","field":"s"}]})",
       true},
      {R"({"op":"or","filters":[]})", false},
      {R"( {"op":"and","filters":[]})", true},
      {R"({"op":"eq","field":"s","value":"abc"})", true},
  };
  for (const auto& one : cases) {
    CAPTURE(std::string(one.text));
    CHECK(matches(one.text, item) == one.is_true);
  }
  CHECK(matches(R"({"op":"ne","field":"n","value":1})", ""));
  CHECK(matches(R"({"op":"eq","field":"é","value":"😀"})", R"({"\u00e9": "\ud83d\ude00"})"));
}

TEST_CASE("filters: what is no filter in JSON is refused with a sentence") {
  const auto refusal = [](std::string_view text) {
    const std::string error = error_of(text);
    CHECK_MESSAGE(error.starts_with("syntax error in FILTER: "), text);
    return error.substr(std::string_view("syntax error in FILTER: ").size());
  };
  CHECK(refusal("{") == "it is not JSON");
  CHECK(refusal("{}") ==
        "a filter has an op, a string: eq, ne, lt, lte, gt, gte, in, exists, and, or or not");
  CHECK(refusal(R"({"op":"like"})") ==
        "op is eq, ne, lt, lte, gt, gte, in, exists, and, or or not, not like");
  CHECK(refusal(R"({"op":"eq","field":"a"})") ==
        "op eq takes field, a string, and value, and nothing else");
  CHECK(refusal(R"({"op":"eq","field":1,"value":1})") ==
        "op eq takes field, a string, and value, and nothing else");
  CHECK(refusal(R"({"op":"exists","field":"a","value":1})") ==
        "op exists takes field, a string, and nothing else");
  CHECK(refusal(R"({"op":"eq","field":"a","value":[1]})") ==
        "op eq takes strings, numbers, true, false and null as values");
  CHECK(refusal(R"({"op":"in","field":"a","value":1})") == "op in takes an array of values");
  CHECK(refusal(R"({"op":"in","field":"a","value":[{}]})") ==
        "op in takes strings, numbers, true, false and null as values");
  CHECK(refusal(R"({"op":"and","field":"a"})") ==
        "op and takes filters, an array, and nothing else");
  CHECK(refusal(R"({"op":"not","filters":[]})") == "op not takes one filter");
  CHECK(refusal(R"({"op":"and","filters":[1]})") == "a filter is a JSON object");
  CHECK(refusal(R"({"op":"eq","field":"a","value":1,"x":1})") ==
        "a filter has op, field, value and filters, not x");
  CHECK(refusal(R"({"op":"eq","op":"eq","field":"a","value":1})") == "a filter has op once");
}

TEST_CASE("filters: length, depth and work are bounded") {
  const auto repeat = [](std::string_view text, std::size_t times) {
    std::string repeated;
    for (std::size_t i = 0; i < times; ++i) repeated += text;
    return repeated;
  };
  CHECK(error_of(std::string(65'537, ' ')) == "FILTER takes at most 65536 bytes, got 65537");
  CHECK(error_of(repeat(".a or ", 200) + "1") ==
        "FILTER has at most 256 fields, values and operators");
  CHECK(error_of(repeat(".a or ", 127) + "1") == "");
  CHECK(error_of(repeat("1+(", 64) + "1" + repeat(")", 64)) == "");
  CHECK(error_of(repeat("1+(", 65) + "1" + repeat(")", 65)) == "FILTER nests at most 64 deep");
  CHECK(error_of(repeat("(", 20'000) + "1" + repeat(")", 20'000)) == "");
  CHECK(error_of(repeat("!", 254) + ".a") == "");
  const auto nested = [&](std::size_t depth) {
    return repeat(R"({"op":"not","filters":[)", depth) + R"({"op":"exists","field":"a"})" +
           repeat("]}", depth);
  };
  CHECK(error_of(nested(63)) == "");
  CHECK(error_of(nested(64)) == "FILTER nests at most 64 deep");
  CHECK(error_of(nested(500)) != "");
  std::string fields = ".f0";
  for (int i = 1; i < 33; ++i) fields += " or .f" + std::to_string(i);
  CHECK(error_of(fields) == "FILTER names at most 32 fields");
  std::string list = ".a in [0";
  for (int i = 1; i < 5000; ++i) list += "," + std::to_string(i);
  CHECK(matches(list + "]", R"({"a": 4999})"));
  CHECK_FALSE(matches(list + "]", R"({"a": 5000})"));
}

TEST_CASE("filters: a string that spells NaN is in no list of numbers, however long") {
  for (const std::size_t members : {1U, 8U, 9U, 5000U}) {
    CAPTURE(members);
    std::string list = "[";
    for (std::size_t i = 0; i < members; ++i) list += std::to_string(i) + ",";
    list += "]";
    for (const char* text : {R"({"a": "nan"})", R"({"a": "-NaN"})", R"({"a": ["nan"]})"}) {
      CAPTURE(std::string(text));
      // What is no number counts as 0: of a list that is what the grammar asks for.
      CHECK(matches(".a in " + list, text) == (text[6] == '['));
      CHECK_FALSE(matches(".a in [1, 2, 3, 4, 5, 6, 7, 8, 9]", text));
      CHECK_FALSE(matches(".a * 1 in [1, 2, 3, 4, 5, 6, 7, 8, 9]", text));
    }
    CHECK(matches(".a in " + list, R"({"a": "0"})"));
    CHECK_FALSE(matches(".a in " + list, R"({"a": "-1"})"));
  }
}

TEST_CASE("filters: a number that was calculated is in a list as the field would be") {
  const std::string constants = "7, '8', true, null, 'x', 'nan', 7, 12, 13, 14, 15.5";
  const std::string many = constants + ", 100, 101, 102, 103, 104";
  for (const std::string& list : {std::string("7, null"), std::string("null"), constants, many}) {
    for (const char* number : {"0", "1", "2", "7", "8", "15.5", "100", "-1"}) {
      CAPTURE(list);
      CAPTURE(std::string(number));
      const std::string item = std::string(R"({"a": )") + number + "}";
      const bool is_in = matches(".a in [" + list + "]", item);
      CHECK(matches(".a + 0 in [" + list + "]", item) == is_in);
      CHECK(matches("!(.a * 1 in [" + list + "])", item) != is_in);
      CHECK(matches(std::string(number) + " in [" + list + "] and .a == .a", item) == is_in);
    }
  }
  CHECK(matches("(.a > 1) in [true]", R"({"a": 2})"));
  CHECK_FALSE(matches("(.a > 1) in [0, 2]", R"({"a": 2})"));
  CHECK_FALSE(matches(".a + 1 in '1 2 3'", R"({"a": 1})"));
  CHECK(matches("'b' in ['a', 'b'] and 'b' in 'abc' and null in [null]", "{}"));
  CHECK_FALSE(matches("'c' in ['a', 'b'] or 'x' in 'abc' or 'a' == 'b' or 'a' != 'a'", "{}"));
}

TEST_CASE("filters: what an item costs does not grow with the lists of the filter") {
  std::string long_list = "[1";
  for (int i = 0; i < 15'000; ++i) long_list += ",1";
  long_list += "]";
  const std::vector<std::string> attributes(64, R"({"a": 3, "b": "x"})");
  const auto seconds = [&](const std::string& filter_text) {
    const auto filter = bound_to(filter_text, attributes);
    double least = 1e9;
    for (int i = 0; i < 5; ++i) {
      const auto began = std::chrono::steady_clock::now();
      for (int j = 0; j < 20; ++j) CHECK(filter->select_word(0, ~std::uint64_t{0}) == 0);
      const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
      least = std::min(least, took.count());
    }
    return least;
  };
  for (const std::string left : {".a + 0.5 in ", "(.a > 5) + 5 in ", ".a > 0 and 0.5 in ",
                                 ".a > 0 and 'x' in ", ".a in ", ".b in "}) {
    CAPTURE(left);
    CHECK(seconds(left + long_list) < 50 * seconds(left + "[1,1]"));
  }
}

TEST_CASE("filters: items one by one, together and by word are told alike") {
  auto rng = test::make_rng(91);
  const std::vector<std::string> values = {
      "1",    "2",  "0",   "-0.0",      "1e308", "\"a\"", "\"1\"", "\"\"",  "true", "false",
      "null", "[]", "[1]", "[\"a\",2]", "{}",    "[{}]",  "\"b\"", "[[0]]", "3.5",  "\"é\""};
  std::vector<std::string> attributes;
  for (int i = 0; i < 300; ++i) {
    std::string text;
    for (const char* name : {"a", "b", "c"}) {
      if (rng() % 4 == 0) continue;
      text +=
          (text.empty() ? "\"" : ",\"") + std::string(name) + "\":" + values[rng() % values.size()];
    }
    attributes.push_back(rng() % 10 == 0 ? "" : "{" + text + "}");
  }
  SlotSet items;
  for (Slot slot = 0; slot < 300; ++slot) {
    if (rng() % 3 != 0) REQUIRE(items.insert(slot).has_value());
  }
  for (const char* text :
       {".a == 1", ".a == .b", "'a' in .a or .b", ".a + .b > .c", ".a in [1, 'a', null]",
        "!(.a) and .b != 'a'", ".a ** 2 == .b and not .c", ".a in .b",
        R"({"op":"ne","field":"a","value":"a"})", R"({"op":"in","field":"a","value":[1,"a",null]})",
        R"({"op":"not","filters":[{"op":"gt","field":"b","value":1}]})"}) {
    CAPTURE(std::string(text));
    const auto filter = bound_to(text, attributes);
    std::vector<Slot> slots;
    for (std::size_t i = 0; i < 500; ++i) slots.push_back(static_cast<Slot>(rng() % 400));
    const std::unique_ptr<bool[]> accepted(new bool[slots.size()]);
    filter->select(slots, {accepted.get(), slots.size()});
    SlotSet matching;
    const auto keep = [&](Slot first, std::uint64_t bits) {
      return filter->select_word(first, bits);
    };
    REQUIRE(matching.assign(items, keep).has_value());
    std::size_t agreed = 0;
    for (std::size_t i = 0; i < slots.size(); ++i) {
      const bool is_accepted = filter->accepts(slots[i]);
      agreed += std::size_t{accepted[i] == is_accepted};
      CHECK(matching.contains(slots[i]) == (is_accepted && items.contains(slots[i])));
    }
    CHECK(agreed == slots.size());
  }
}

TEST_CASE("filters: a column keeps the last value of each slot, and equal ones once") {
  Column column("a.b");
  AttributeReader reader;
  const auto store = [&](Slot slot, std::string_view text) {
    Column* const columns[] = {&column};
    REQUIRE(reader.store(columns, slot, text).has_value());
  };
  CHECK(column.at(1'000'000).is_missing());
  store(3, R"({"a": {"b": "x"}})");
  store(4, R"({"a": {"b": ["x", [1]]}})");
  store(5, R"({"a": {"b": 2.5}, "a.b": 3})");
  CHECK(column.string(column.at(3)) == "x");
  CHECK(column.list(column.at(4)).cells.size() == 2);
  CHECK(column.at(5).value() == 2.5);
  CHECK(column.at(0).is_missing());
  const std::size_t bytes = column.dictionary_bytes();
  for (Slot slot = 3; slot < 100; ++slot) {
    store(slot, R"({"a": {"b": "x"}})");
    store(slot, R"({"a": {"b": ["x", [1]]}})");
  }
  CHECK(column.dictionary_bytes() == bytes);
  store(3, "");
  store(4, "[1]");
  store(5, R"({"a": 1})");
  store(6, R"({"a": )");
  for (Slot slot = 3; slot < 7; ++slot) CHECK(column.at(slot).is_missing());
  for (int i = 0; i < 5000; ++i) store(7, R"({"a": {"b": "s)" + std::to_string(i) + "\"}}");
  for (int i = 0; i < 5000; ++i) {
    const Cell found = column.find("s" + std::to_string(i));
    REQUIRE(found.kind() == CellKind::kString);
    REQUIRE(column.string(found) == "s" + std::to_string(i));
  }
  CHECK(column.find("s5000").is_missing());
}

TEST_CASE("filters: a cell is what it was made of") {
  for (const double number :
       {0.0, -0.0, 1.0, -1.0, 1e308, -1e308, 5e-324, 0.1, HUGE_VAL, -HUGE_VAL}) {
    const Cell cell = Cell::number(number);
    CHECK(cell.kind() == CellKind::kNumber);
    CHECK(cell.value() == number);
    CHECK(std::signbit(cell.value()) == std::signbit(number));
  }
  CHECK(Cell().kind() == CellKind::kMissing);
  CHECK(Cell::null().kind() == CellKind::kNull);
  CHECK(Cell::boolean(true).kind() == CellKind::kTrue);
  CHECK(Cell::boolean(false).kind() == CellKind::kFalse);
  CHECK(Cell::object().kind() == CellKind::kObject);
  CHECK(Cell::string(~0U).kind() == CellKind::kString);
  CHECK(Cell::string(~0U).code() == ~0U);
  CHECK(Cell::list(7).kind() == CellKind::kList);
}

}  // namespace
}  // namespace engram::filter_test
