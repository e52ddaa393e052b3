// SPDX-License-Identifier: Apache-2.0
#include "server/hosts/cli/output.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

#include "core/utf8.h"

namespace engram {
namespace {

constexpr std::string_view kHex = "0123456789abcdef";

bool is_continuation(char byte) noexcept {
  return (static_cast<unsigned char>(byte) & 0xc0U) == 0x80U;
}

void append_escaped(std::string& out, char byte) {
  const auto value = static_cast<unsigned char>(byte);
  out += "\\x";
  out += kHex[value >> 4U];
  out += kHex[value & 15U];
}

/// How many columns of a terminal it takes, roughly: its code points.
std::size_t width_of(std::string_view text) noexcept {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char byte) { return !is_continuation(byte); }));
}

/// Calls `visit` with each number of packed float32.
template <class Visit>
void for_each_number(std::string_view packed, Visit visit) {
  for (std::size_t i = 0; i + sizeof(float) <= packed.size(); i += sizeof(float)) {
    float number = 0;
    std::memcpy(&number, packed.data() + i, sizeof number);
    visit(number);
  }
}

}  // namespace

std::string printable(std::string_view text) {
  std::string shown;
  while (!text.empty()) {
    const std::size_t length = utf8_bytes(text);
    const auto first = static_cast<unsigned char>(text.front());
    // C1 controls are two bytes of UTF-8.
    const bool is_control =
        first < 0x20 || first == 0x7f ||
        (first == 0xc2 && length == 2 && static_cast<unsigned char>(text[1]) < 0xa0);
    if (length == 0 || is_control) {
      append_escaped(shown, text.front());
      text.remove_prefix(1);
      continue;
    }
    shown.append(text.substr(0, length));
    text.remove_prefix(length);
  }
  return shown;
}

std::string grouped(std::uint64_t number) {
  std::string text = std::to_string(number);
  for (std::size_t at = text.size(); at > 3;) {
    at -= 3;
    text.insert(at, ",");
  }
  return text;
}

std::string vector_text(std::string_view packed) {
  std::string text;
  std::array<char, 32> digits;
  for_each_number(packed, [&](float number) {
    if (!text.empty()) text += ',';
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
    text.append(digits.data(), end);
  });
  return text;
}

void write_vector(JsonWriter& json, std::string_view packed) {
  json.begin_array();
  for_each_number(packed, [&json](float number) { json.number(number); });
  json.end_array();
}

std::string Table::text() const {
  std::vector<std::size_t> widths(right_.size());
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width_of(row[i]));
  }
  std::string text;
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string padding(widths[i] - width_of(row[i]), ' ');
      if (i != 0) text += "  ";
      if (right_[i]) text += padding;
      text += row[i];
      if (!right_[i] && i + 1 < row.size()) text += padding;
    }
    text += '\n';
  }
  return text;
}

}  // namespace engram
