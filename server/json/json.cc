// SPDX-License-Identifier: Apache-2.0
#include "server/json/json.h"

#include <simdjson.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <type_traits>

namespace engram {

using JsonElement = simdjson::dom::element;

/// simdjson's element, in the bytes that the header has for it.
class JsonValue::Access {
 public:
  static_assert(std::is_trivially_copyable_v<JsonElement>);
  static_assert(sizeof(JsonElement) == sizeof(JsonValue));
  static_assert(alignof(JsonElement) <= alignof(JsonValue));

  static JsonValue wrap(const JsonElement& element) noexcept {
    JsonValue value;
    std::memcpy(&value.element_, &element, sizeof element);
    return value;
  }
  static JsonElement unwrap(const JsonValue& value) noexcept {
    JsonElement element;
    std::memcpy(static_cast<void*>(&element), &value.element_, sizeof element);
    return element;
  }
};

JsonKind JsonValue::kind() const noexcept {
  using simdjson::dom::element_type;
  const JsonElement element = Access::unwrap(*this);
  switch (element.type()) {
    case element_type::ARRAY:
      return JsonKind::kArray;
    case element_type::OBJECT:
      return JsonKind::kObject;
    case element_type::INT64:
    case element_type::UINT64:
    case element_type::DOUBLE:
      return JsonKind::kNumber;
    case element_type::STRING:
      return JsonKind::kString;
    case element_type::BOOL:
      return element.get_bool().value_unsafe() ? JsonKind::kTrue : JsonKind::kFalse;
    case element_type::NULL_VALUE:
      break;
  }
  return JsonKind::kNull;
}

double JsonValue::number() const noexcept {
  double number = 0;
  const auto error = Access::unwrap(*this).get_double().get(number);  // of integers, too
  return error ? 0 : number;
}

std::string_view JsonValue::string() const noexcept {
  std::string_view text;
  const auto error = Access::unwrap(*this).get_string().get(text);
  return error ? std::string_view() : text;
}

std::string JsonValue::text() const {
  return simdjson::minify(Access::unwrap(*this));
}

std::string_view name_of(JsonKind kind) noexcept {
  switch (kind) {
    case JsonKind::kNull:
      return "null";
    case JsonKind::kFalse:
    case JsonKind::kTrue:
      return "a boolean";
    case JsonKind::kNumber:
      return "a number";
    case JsonKind::kString:
      return "a string";
    case JsonKind::kArray:
      return "an array";
    case JsonKind::kObject:
      break;
  }
  return "an object";
}

namespace {

/// The shortest text of the greatest float is a greater number, and still means that float.
float nearest_float(double number) {
  constexpr float kGreatest = std::numeric_limits<float>::max();
  constexpr double kHalfway = 0x1.ffffffp127;  // from there on it rounds to infinity
  const double size = std::abs(number);
  const float nearest = size >= kHalfway   ? std::numeric_limits<float>::infinity()
                        : size > kGreatest ? kGreatest
                                           : static_cast<float>(size);
  return std::signbit(number) ? -nearest : nearest;
}

}  // namespace

bool JsonValue::append_numbers(std::vector<float>& numbers) const {
  simdjson::dom::array array;
  if (Access::unwrap(*this).get_array().get(array)) return false;
  for (const JsonElement item : array) {
    double number = 0;
    if (item.get_double().get(number)) return false;
    numbers.push_back(nearest_float(number));
  }
  return true;
}

std::optional<JsonValue> JsonValue::member(std::string_view name) const noexcept {
  simdjson::dom::object object;
  JsonElement found;
  if (Access::unwrap(*this).get_object().get(object)) return std::nullopt;
  if (object.at_key(name).get(found)) return std::nullopt;
  return Access::wrap(found);
}

void JsonValue::for_each_item(const std::function<void(const JsonValue&)>& visit) const {
  simdjson::dom::array array;
  if (Access::unwrap(*this).get_array().get(array)) return;
  for (const JsonElement item : array) visit(Access::wrap(item));
}

void JsonValue::for_each_member(
    const std::function<void(std::string_view, const JsonValue&)>& visit) const {
  simdjson::dom::object object;
  if (Access::unwrap(*this).get_object().get(object)) return;
  for (const auto member : object) visit(member.key, Access::wrap(member.value));
}

struct JsonReader::State {
  simdjson::dom::parser parser;
};

JsonReader::JsonReader(JsonBounds bounds) : bounds_(bounds), state_(std::make_unique<State>()) {}

JsonReader::~JsonReader() = default;

namespace {

std::string why_no_json(simdjson::error_code error, const JsonBounds& bounds) {
  switch (error) {
    case simdjson::DEPTH_ERROR:
      return "is nested more than " + std::to_string(bounds.depth) + " levels deep";
    case simdjson::UTF8_ERROR:
      return "is not UTF-8";
    case simdjson::NUMBER_ERROR:
    case simdjson::NUMBER_OUT_OF_RANGE:
      return "has a number that is malformed or out of range";
    default:
      return "is not JSON";
  }
}

}  // namespace

Result<JsonValue> JsonReader::read(std::string_view text) {
  if (text.size() > bounds_.bytes) {
    return fail(ErrorCode::kInvalidArgument,
                "is longer than " + std::to_string(bounds_.bytes) + " bytes");
  }
  constexpr std::size_t kFewBytes = 512;
  simdjson::dom::parser& parser = state_->parser;
  simdjson::error_code error = simdjson::SUCCESS;
  if (parser.capacity() < text.size() || parser.capacity() == 0) {
    // One more than the levels: the parser's bound is the first depth that it refuses.
    error = parser.allocate(std::bit_ceil(std::max(text.size(), kFewBytes)), bounds_.depth + 1);
  }
  JsonElement element;
  if (!error) error = parser.parse(text.data(), text.size()).get(element);
  if (error == simdjson::MEMALLOC) return fail(ErrorCode::kResourceExhausted, "has no room");
  if (error) return fail(ErrorCode::kInvalidArgument, why_no_json(error, bounds_));
  return JsonValue::Access::wrap(element);
}

}  // namespace engram
