// SPDX-License-Identifier: Apache-2.0
#include "server/hosts/cli/files/json_text.h"

namespace engram {
namespace {

constexpr std::string_view kSpace = " \t\r\n";

/// Behind the string that begins at `at`.
std::size_t end_of_string(std::string_view text, std::size_t at) {
  for (std::size_t i = at + 1; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == '"') {
      return i + 1;
    }
  }
  return text.size();
}

std::size_t skip_space(std::string_view text, std::size_t at) {
  const std::size_t found = text.find_first_not_of(kSpace, at);
  return found == std::string_view::npos ? text.size() : found;
}

/// Behind the value that begins at `at`.
std::size_t end_of_value(std::string_view text, std::size_t at) {
  int depth = 0;
  while (at < text.size()) {
    const char byte = text[at];
    if (byte == '"') {
      at = end_of_string(text, at);
      if (depth == 0) return at;
      continue;
    }
    if (depth == 0 && (byte == ',' || byte == '}' || byte == ']')) return at;
    if (byte == '{' || byte == '[') ++depth;
    if (byte == '}' || byte == ']') --depth;
    ++at;
    if (depth == 0 && (byte == '}' || byte == ']')) return at;
  }
  return at;
}

}  // namespace

std::optional<std::string_view> json_member_text(std::string_view object, std::string_view name) {
  std::size_t at = skip_space(object, 0) + 1;  // behind the brace
  for (;;) {
    at = skip_space(object, at);
    if (at >= object.size() || object[at] != '"') return std::nullopt;
    const std::size_t behind_name = end_of_string(object, at);
    const std::string_view found = object.substr(at + 1, behind_name - at - 2);
    at = skip_space(object, skip_space(object, behind_name) + 1);  // behind the colon
    const std::size_t end = end_of_value(object, at);
    if (found == name) {
      std::string_view value = object.substr(at, end - at);
      return value.substr(0, value.find_last_not_of(kSpace) + 1);
    }
    at = skip_space(object, end);
    if (at >= object.size() || object[at] != ',') return std::nullopt;
    ++at;
  }
}

}  // namespace engram
