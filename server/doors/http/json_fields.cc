// SPDX-License-Identifier: Apache-2.0
#include "server/doors/http/json_fields.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <utility>

#include "server/requests/shown.h"

namespace engram {
namespace {

constexpr std::size_t kSmallBodyBytes = 256UL * 1024;
constexpr JsonBounds kBodyBounds = {.bytes = std::numeric_limits<std::uint32_t>::max(),
                                    .depth = 64};

/// Keeps its memory between requests, unless a large one has made it large.
std::unique_ptr<JsonReader>& kept_reader() {
  static thread_local std::unique_ptr<JsonReader> reader;
  return reader;
}

bool is_null(const std::optional<JsonValue>& value) {
  return !value || value->kind() == JsonKind::kNull;
}

std::optional<std::uint32_t> base64_digit(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+' || c == '-') return 62;
  if (c == '/' || c == '_') return 63;
  return std::nullopt;
}

}  // namespace

Result<JsonObject> JsonObject::read(const JsonValue& value, std::string where,
                                    std::span<const std::string_view> known) {
  const std::string called = where.empty() ? "the body" : "'" + where + "'";
  if (value.kind() != JsonKind::kObject) {
    return fail(ErrorCode::kInvalidArgument,
                called + " must be a JSON object, got " + std::string(name_of(value.kind())));
  }
  std::string unknown;
  value.for_each_member([&](std::string_view name, const JsonValue&) {
    const bool is_known = std::find(known.begin(), known.end(), name) != known.end();
    if (!is_known && unknown.empty()) unknown = "'" + shown(name) + "'";
  });
  if (unknown.empty()) return JsonObject(value, std::move(where));
  std::string names;
  for (const std::string_view name : known) names.append(names.empty() ? "" : ", ").append(name);
  return fail(ErrorCode::kInvalidArgument, called + " has no field " + unknown + ", only " + names);
}

std::string JsonObject::path(std::string_view name) const {
  return where_.empty() ? std::string(name) : where_ + "." + std::string(name);
}

tl::unexpected<Error> JsonObject::wrong(std::string_view name, std::string_view expected) const {
  const auto value = find(name);
  std::string sentence = "'" + path(name) + "' must be " + std::string(expected);
  if (value) sentence += ", got " + std::string(name_of(value->kind()));
  return fail(ErrorCode::kInvalidArgument, std::move(sentence));
}

Result<JsonValue> JsonObject::require(std::string_view name, std::string_view expected) const {
  const auto value = find(name);
  if (value) return *value;
  return fail(ErrorCode::kInvalidArgument,
              "'" + path(name) + "' is missing, it must be " + std::string(expected));
}

Result<std::string_view> JsonObject::text(std::string_view name) const {
  const auto value = require(name, "a string");
  if (!value) return tl::unexpected(value.error());
  if (value->kind() != JsonKind::kString) return wrong(name, "a string");
  return value->string();
}

Result<std::vector<JsonValue>> JsonObject::array(std::string_view name) const {
  const auto value = require(name, "an array");
  if (!value) return tl::unexpected(value.error());
  if (value->kind() != JsonKind::kArray) return wrong(name, "an array");
  std::vector<JsonValue> items;
  value->for_each_item([&](const JsonValue& item) { items.push_back(item); });
  return items;
}

Result<std::vector<std::string_view>> JsonObject::texts(std::string_view name, std::size_t least,
                                                        std::size_t most) const {
  const auto items = array(name);
  if (!items) return tl::unexpected(items.error());
  const bool is_short = items->size() < least;
  if (is_short || items->size() > most) {
    return fail(ErrorCode::kInvalidArgument, "'" + path(name) + "' must have at " +
                                                 (is_short ? "least " : "most ") +
                                                 std::to_string(is_short ? least : most) +
                                                 " strings, got " + std::to_string(items->size()));
  }
  std::vector<std::string_view> texts;
  texts.reserve(items->size());
  for (const JsonValue& item : *items) {
    if (item.kind() != JsonKind::kString) return wrong(name, "an array of strings alone");
    texts.push_back(item.string());
  }
  return texts;
}

Result<std::optional<std::string_view>> JsonObject::optional_text(std::string_view name) const {
  const auto value = find(name);
  if (is_null(value)) return std::optional<std::string_view>();
  if (value->kind() != JsonKind::kString) return wrong(name, "a string");
  return std::optional(value->string());
}

Result<std::optional<std::size_t>> JsonObject::optional_count(std::string_view name) const {
  constexpr double kMost = 1ULL << 53U;
  const auto value = find(name);
  if (is_null(value)) return std::optional<std::size_t>();
  const double number = value->number();
  if (value->kind() != JsonKind::kNumber || number < 0 || number > kMost ||
      number != std::floor(number)) {
    return wrong(name, "a whole number that is not negative");
  }
  return std::optional(static_cast<std::size_t>(number));
}

Result<std::optional<double>> JsonObject::optional_number(std::string_view name) const {
  const auto value = find(name);
  if (is_null(value)) return std::optional<double>();
  if (value->kind() != JsonKind::kNumber) return wrong(name, "a number");
  return std::optional(value->number());
}

Result<bool> JsonObject::flag(std::string_view name, bool fallback) const {
  const auto value = find(name);
  if (is_null(value)) return fallback;
  if (value->kind() == JsonKind::kTrue) return true;
  if (value->kind() == JsonKind::kFalse) return false;
  return wrong(name, "true or false");
}

Status read_option_fields(const JsonObject& body, std::span<const OptionField> fields,
                          OptionTexts& options) {
  for (const auto& [field, option, may_be_object] : fields) {
    const auto value = body.find(field);
    if (is_null(value)) continue;
    const JsonKind kind = value->kind();
    if (kind == JsonKind::kString) {
      options.add(option, std::string(value->string()));
    } else if (kind == JsonKind::kNumber || (may_be_object && kind == JsonKind::kObject)) {
      options.add(option, value->text());
    } else {
      return body.wrong(field, may_be_object ? "a string or an object" : "a string or a number");
    }
  }
  return {};
}

Status read_option_texts(const JsonObject& body, std::string_view name, OptionTexts& options) {
  const auto value = body.find(name);
  if (is_null(value)) return {};
  if (value->kind() != JsonKind::kObject) return body.wrong(name, "an object");
  std::string refused;
  value->for_each_member([&](std::string_view option, const JsonValue& given) {
    const JsonKind kind = given.kind();
    if (kind == JsonKind::kString) {
      options.add(option, std::string(given.string()));
    } else if (kind == JsonKind::kNumber) {
      options.add(option, given.text());
    } else if (refused.empty()) {
      refused = "'" + body.path(name) + "." + shown(option) + "' must be a string or a number";
    }
  });
  if (refused.empty()) return {};
  return fail(ErrorCode::kInvalidArgument, std::move(refused));
}

Result<std::vector<float>> read_vector(const JsonValue& value, const std::string& where) {
  const auto refuse = [&](std::string_view why) {
    return fail(ErrorCode::kInvalidArgument, "'" + where + "' must be " + std::string(why));
  };
  std::vector<float> vector;
  if (value.kind() == JsonKind::kArray) {
    if (!value.append_numbers(vector)) return refuse("an array of numbers alone");
    return vector;
  }
  const auto packed = value.member("base64");
  if (!packed || packed->kind() != JsonKind::kString) {
    return refuse("an array of numbers, or {\"base64\": \"...\"} of packed float32, got " +
                  std::string(name_of(value.kind())));
  }
  const auto bytes = decode_base64(packed->string());
  if (!bytes || bytes->size() % sizeof(float) != 0) {
    return refuse("base64 of packed float32, four bytes for each dimension");
  }
  vector.resize(bytes->size() / sizeof(float));
  if (!vector.empty()) std::memcpy(vector.data(), bytes->data(), bytes->size());
  return vector;
}

std::optional<std::string> decode_base64(std::string_view text) {
  constexpr std::size_t kMostPadding = 2;
  for (std::size_t i = 0; i < kMostPadding && text.ends_with('='); ++i) text.remove_suffix(1);
  if (text.size() % 4 == 1) return std::nullopt;
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3 + 2);
  std::uint32_t group = 0;
  unsigned bits = 0;
  for (const char c : text) {
    const auto digit = base64_digit(c);
    if (!digit) return std::nullopt;
    group = (group << 6U) | *digit;
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    bytes += static_cast<char>((group >> bits) & 0xFFU);
  }
  return bytes;
}

JsonBody::JsonBody() : reader_(std::move(kept_reader())) {
  if (reader_ == nullptr) reader_ = std::make_unique<JsonReader>(kBodyBounds);
}

JsonBody::~JsonBody() {
  if (is_small_) kept_reader() = std::move(reader_);
}

Result<JsonObject> JsonBody::read(const HttpRequest& request,
                                  std::span<const std::string_view> known) {
  is_small_ = request.body.size() <= kSmallBodyBytes;
  if (request.body.empty()) {
    return fail(ErrorCode::kInvalidArgument, "the body is empty, it must be a JSON object");
  }
  const auto value = reader_->read(request.body);
  if (!value && value.error().code == ErrorCode::kResourceExhausted) {
    return fail(ErrorCode::kUnavailable, "out of memory for what the request holds");
  }
  if (!value) return fail(value.error().code, "the body " + value.error().message);
  return JsonObject::read(*value, "", known);
}

}  // namespace engram
