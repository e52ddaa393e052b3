// SPDX-License-Identifier: Apache-2.0
#include "server/requests/vector_numbers.h"

#include <cmath>
#include <optional>
#include <string>

#include "core/text.h"
#include "server/requests/shown.h"

namespace engram {
namespace {

/// With a plus, too, and 0 for what is too small.
std::optional<float> read_number(std::string_view word) {
  if (word.size() > 1 && word[0] == '+' && word[1] != '-') word.remove_prefix(1);
  if (const auto number = parse_number<float>(word)) return number;
  const auto number = parse_number<double>(word);
  if (!number || !(std::abs(*number) < 1)) return std::nullopt;
  return static_cast<float>(*number);
}

}  // namespace

Result<std::vector<float>> read_numbers(std::span<const std::string_view> words) {
  std::vector<float> numbers;
  numbers.reserve(words.size());
  for (const std::string_view word : words) {
    const auto number = read_number(word);
    if (!number) {
      return fail(ErrorCode::kInvalidArgument, "value " + std::to_string(numbers.size() + 1) +
                                                   " of VALUES is '" + shown(word) +
                                                   "', no number that float32 has");
    }
    numbers.push_back(*number);
  }
  return numbers;
}

}  // namespace engram
