// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace engram {

/// About what a float32 takes in JSON, with what stands between.
inline constexpr std::size_t kJsonNumberBytes = 12;

/// Writes JSON at the end of a string, without spaces. Commas come by themselves; that arrays and
/// objects end, and that members have names, is up to the caller.
class JsonWriter {
 public:
  explicit JsonWriter(std::string& out) noexcept : out_(out) {}

  void begin_object() { open('{'); }
  void end_object() { close('}'); }
  void begin_array() { open('['); }
  void end_array() { close(']'); }

  /// The name of the member whose value comes next.
  JsonWriter& name(std::string_view text);

  void null() { word("null"); }
  void boolean(bool value) { word(value ? "true" : "false"); }
  void integer(std::int64_t value);
  void count(std::uint64_t value);
  /// The shortest text that reads back as the same float32, or double; null for what JSON has no
  /// number for.
  void number(float value);
  void number(double value);
  void numbers(std::span<const float> values);
  /// What is no UTF-8 becomes U+FFFD.
  void string(std::string_view text);
  /// A whole JSON value.
  void raw(std::string_view json) { word(json); }

 private:
  void open(char bracket);
  void close(char bracket);
  void begin_value();
  void word(std::string_view text);
  void quoted(std::string_view text);

  std::string& out_;
  bool follows_ = false;  // a value stands before, in the same array or object
};

}  // namespace engram
