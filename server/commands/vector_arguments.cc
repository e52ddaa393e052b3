// SPDX-License-Identifier: Apache-2.0
#include "server/commands/vector_arguments.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>

#include "core/row.h"
#include "core/text.h"
#include "server/commands/errors.h"
#include "server/requests/arguments.h"

namespace engram {
namespace {

constexpr std::string_view kValues = "VALUES";
constexpr CountArgument kValueCount = {"the number after VALUES", 1, kMaxDimension};

}  // namespace

unsigned take_flags(std::vector<std::string_view>& words, std::span<const std::string_view> flags) {
  unsigned taken = 0;
  for (std::size_t i = 0; i < words.size();) {
    const auto flag = std::find_if(flags.begin(), flags.end(), [&](std::string_view known) {
      return equal_ignoring_case(known, words[i]);
    });
    if (flag == flags.end()) {
      i += 2;
    } else {
      taken |= 1U << static_cast<unsigned>(flag - flags.begin());
      words.erase(words.begin() + static_cast<std::ptrdiff_t>(i));
    }
  }
  return taken;
}

bool has_word(Arguments words, std::string_view word) {
  return std::any_of(words.begin(), words.end(),
                     [word](std::string_view one) { return equal_ignoring_case(one, word); });
}

Result<VectorWords> take_vector(Arguments& words) {
  if (words.empty()) return fail(ErrorCode::kInvalidArgument, "there is no vector");
  if (!equal_ignoring_case(words[0], kValues)) {
    const VectorWords vector = {.packed = words[0]};
    words = words.subspan(1);
    return vector;
  }
  if (words.size() == 1) {
    return fail(ErrorCode::kInvalidArgument, "VALUES takes how many values there are, and those");
  }
  const auto count = kValueCount.read(words[1]);
  if (!count) return tl::unexpected(count.error());
  const std::size_t there = words.size() - 2;
  if (there < *count) {
    return fail(ErrorCode::kInvalidArgument, "VALUES says " + std::to_string(*count) + " values, " +
                                                 std::to_string(there) +
                                                 (there == 1 ? " follows" : " follow"));
  }
  const VectorWords vector = {.numbers = words.subspan(2, *count), .is_text = true};
  words = words.subspan(2 + *count);
  return vector;
}

Result<std::size_t> count_vectors(Arguments words) {
  std::size_t count = 0;
  for (; !words.empty(); ++count) {
    if (const auto vector = take_vector(words); !vector) return tl::unexpected(vector.error());
  }
  return count;
}

Result<std::vector<OptionText>> read_pairs(Arguments words) {
  if (words.size() % 2 != 0) {
    return fail(ErrorCode::kInvalidArgument, "option '" + shown(words.back()) + "' has no value");
  }
  std::vector<OptionText> pairs;
  pairs.reserve(words.size() / 2);
  for (std::size_t i = 0; i < words.size(); i += 2) pairs.emplace_back(words[i], words[i + 1]);
  return pairs;
}

}  // namespace engram
