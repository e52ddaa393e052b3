// SPDX-License-Identifier: Apache-2.0
// What a subcommand prints: text for people, or JSON.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace engram {

/// Appends `text` as a JSON string. Bytes that are no UTF-8 become U+FFFD.
void append_json(std::string& out, std::string_view text);
/// Appends the shortest decimal that reads back to the same number; null unless it is finite.
void append_json(std::string& out, float number);

/// `text` with what a terminal would obey, or could not show, as \xNN.
std::string printable(std::string_view text);

/// 1234567 as 1,234,567.
std::string grouped(std::uint64_t number);

/// The length of a valid UTF-8 sequence at the start of `text`; 0 if there is none.
std::size_t utf8_length(std::string_view text) noexcept;
[[nodiscard]] bool is_utf8(std::string_view text) noexcept;

/// "1,0.5,0"
std::string vector_text(std::string_view packed);
/// [1,0.5,0]
void append_json_vector(std::string& out, std::string_view packed);

/// Lines whose columns are aligned: numbers to the right.
class Table {
 public:
  explicit Table(std::vector<bool> right) : right_(std::move(right)) {}

  void add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  [[nodiscard]] std::string text() const;

 private:
  std::vector<bool> right_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace engram
