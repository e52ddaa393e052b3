// SPDX-License-Identifier: Apache-2.0
// What a subcommand prints: text for people, or JSON.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "server/json/json_writer.h"

namespace engram {

/// `text` with what a terminal would obey, or could not show, as \xNN.
std::string printable(std::string_view text);

/// 1234567 as 1,234,567.
std::string grouped(std::uint64_t number);

/// "1,0.5,0"
std::string vector_text(std::string_view packed);
/// [1,0.5,0]
void write_vector(JsonWriter& json, std::string_view packed);

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
