// SPDX-License-Identifier: Apache-2.0
#include "server/doors/http/facts_json.h"

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace engram {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// Takes at least one digit off `text`.
bool take_digits(std::string_view& text) {
  const std::size_t digits =
      static_cast<std::size_t>(std::find_if_not(text.begin(), text.end(), is_digit) - text.begin());
  text.remove_prefix(digits);
  return digits > 0;
}

/// Whether JSON has it for a number.
bool is_json_number(std::string_view text) {
  if (text.starts_with('-')) text.remove_prefix(1);
  if (text.size() > 1 && text[0] == '0' && is_digit(text[1])) return false;
  if (!take_digits(text)) return false;
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    if (!take_digits(text)) return false;
  }
  if (text.starts_with('e') || text.starts_with('E')) {
    text.remove_prefix(1);
    if (text.starts_with('+') || text.starts_with('-')) text.remove_prefix(1);
    if (!take_digits(text)) return false;
  }
  return text.empty();
}

}  // namespace

void write_facts(JsonWriter& json, const std::vector<Fact>& facts) {
  json.begin_object();
  for (const Fact& fact : facts) {
    json.name(fact.name);
    is_json_number(fact.value) ? json.raw(fact.value) : json.string(fact.value);
  }
  json.end_object();
}

}  // namespace engram
