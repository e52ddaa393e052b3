// SPDX-License-Identifier: Apache-2.0
// JSON bodies of requests. Errors name the field and what was expected.
#pragma once

#include <cstddef>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/options.h"
#include "core/result.h"
#include "server/doors/http/http_request.h"
#include "server/json/json.h"

namespace engram {

/// An object of a body. Valid while the body is. Every error is kInvalidArgument.
class JsonObject {
 public:
  /// `where` names the object in errors, as "vectors[3]"; empty: the body. Errors: if it is no
  /// object, or has a field that is not `known`.
  static Result<JsonObject> read(const JsonValue& value, std::string where,
                                 std::span<const std::string_view> known);

  /// Nothing if it is missing.
  [[nodiscard]] std::optional<JsonValue> find(std::string_view name) const {
    return value_.member(name);
  }
  /// Errors: if it is missing.
  [[nodiscard]] Result<JsonValue> require(std::string_view name, std::string_view expected) const;

  /// Errors: if it is missing, or no string.
  [[nodiscard]] Result<std::string_view> text(std::string_view name) const;
  /// Errors: if it is missing, or no array.
  [[nodiscard]] Result<std::vector<JsonValue>> array(std::string_view name) const;
  /// The strings of an array. Errors: if it is missing, no array of strings alone, or has fewer
  /// than `least` or more than `most`.
  [[nodiscard]] Result<std::vector<std::string_view>> texts(
      std::string_view name, std::size_t least,
      std::size_t most = std::numeric_limits<std::size_t>::max()) const;
  // Nothing, or the fallback, if it is missing or null; errors if it is something else.
  [[nodiscard]] Result<std::optional<std::string_view>> optional_text(std::string_view name) const;
  [[nodiscard]] Result<std::optional<std::size_t>> optional_count(std::string_view name) const;
  [[nodiscard]] Result<std::optional<double>> optional_number(std::string_view name) const;
  [[nodiscard]] Result<bool> flag(std::string_view name, bool fallback) const;

  /// What stands in errors for a field: "vectors[3].id".
  [[nodiscard]] std::string path(std::string_view name) const;
  /// "'k' must be a whole number".
  [[nodiscard]] tl::unexpected<Error> wrong(std::string_view name, std::string_view expected) const;

 private:
  JsonObject(const JsonValue& value, std::string where) : value_(value), where_(std::move(where)) {}

  JsonValue value_;
  std::string where_;
};

/// Options by name, as requests take them: text that they own.
class OptionTexts {
 public:
  void add(std::string_view name, std::string value) {
    texts_.emplace_back(std::string(name), std::move(value));
  }
  /// Valid until the next add().
  [[nodiscard]] std::vector<OptionText> list() const { return {texts_.begin(), texts_.end()}; }

 private:
  std::vector<std::pair<std::string, std::string>> texts_;
};

/// A field of a body, and the option of a typed request that it is.
struct OptionField {
  std::string_view field;
  std::string_view option;
  bool may_be_object = false;  ///< which the option takes as JSON
};

/// Adds those of the fields that are there and not null: strings and numbers.
Status read_option_fields(const JsonObject& body, std::span<const OptionField> fields,
                          OptionTexts& options);

/// Adds the members of an object of strings and numbers, if the field is there and not null.
Status read_option_texts(const JsonObject& body, std::string_view name, OptionTexts& options);

/// An array of numbers, or {"base64": "..."} of packed little-endian float32; `where` names it in
/// errors.
Result<std::vector<float>> read_vector(const JsonValue& value, const std::string& where);

/// The bytes that base64 text stands for, with or without its padding; nothing if it is none.
std::optional<std::string> decode_base64(std::string_view text);

/// The body of a request, read. Threads: the event loop's only.
class JsonBody {
 public:
  JsonBody();
  ~JsonBody();
  JsonBody(const JsonBody&) = delete;
  JsonBody& operator=(const JsonBody&) = delete;

  /// Once. Errors: if it is no JSON; kUnavailable where memory runs out; those of
  /// JsonObject::read().
  Result<JsonObject> read(const HttpRequest& request, std::span<const std::string_view> known);

 private:
  std::unique_ptr<JsonReader> reader_;
  bool is_small_ = true;
};

}  // namespace engram
