// SPDX-License-Identifier: Apache-2.0
#include "server/commands/vector_arguments.h"

#include <algorithm>
#include <cstddef>

#include "core/text.h"
#include "server/commands/errors.h"

namespace engram {

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
