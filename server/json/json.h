// SPDX-License-Identifier: Apache-2.0
// JSON, as simdjson reads it; json.cc alone includes that.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace engram {

/// How much JSON is read.
struct JsonBounds {
  std::size_t bytes = 65'536;
  std::size_t depth = 32;  ///< arrays and objects within each other; empty ones do not count
};

enum class JsonKind : std::uint8_t { kNull, kFalse, kTrue, kNumber, kString, kArray, kObject };

/// "null", or the kind with its article, for sentences.
std::string_view name_of(JsonKind kind) noexcept;

/// A value of what a JsonReader has read, valid until it reads again or is gone. Cheap to copy.
class JsonValue {
 public:
  [[nodiscard]] JsonKind kind() const noexcept;
  /// Of kNumber: the double that is nearest, finite.
  [[nodiscard]] double number() const noexcept;
  /// Of kString: UTF-8, without escapes.
  [[nodiscard]] std::string_view string() const noexcept;

  /// The value as JSON, without spaces.
  [[nodiscard]] std::string text() const;
  /// Appends the numbers of an array to `numbers`. False if it is no array, or something in it is
  /// no number; then some may have been appended. What is too large for a float32 is infinite.
  [[nodiscard]] bool append_numbers(std::vector<float>& numbers) const;

  /// The member of an object; the first, if several have that name. Nothing of other values.
  [[nodiscard]] std::optional<JsonValue> member(std::string_view name) const noexcept;
  /// Calls `visit` with each item of an array, in order; never, for other values.
  void for_each_item(const std::function<void(const JsonValue&)>& visit) const;
  /// Calls `visit` with each member of an object, as they are written; never, for other values.
  void for_each_member(
      const std::function<void(std::string_view name, const JsonValue&)>& visit) const;

 private:
  friend class JsonReader;
  class Access;

  JsonValue() = default;

  alignas(void*) std::array<std::byte, 2 * sizeof(void*)> element_;
};

/// Reads JSON texts one after another, and keeps its memory for the next. One thread at a time.
class JsonReader {
 public:
  explicit JsonReader(JsonBounds bounds = {});
  ~JsonReader();
  JsonReader(const JsonReader&) = delete;
  JsonReader& operator=(const JsonReader&) = delete;

  /// The value that `text` is. Errors: kInvalidArgument, which goes on "... is longer than"; for
  /// what is no JSON, or more of it than the bounds allow, and for a number that no double, int64
  /// or uint64 can hold.
  Result<JsonValue> read(std::string_view text);

 private:
  struct State;

  const JsonBounds bounds_;
  const std::unique_ptr<State> state_;
};

}  // namespace engram
