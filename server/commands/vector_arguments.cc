// SPDX-License-Identifier: Apache-2.0
#include "server/commands/vector_arguments.h"

#include "server/commands/errors.h"

namespace engram {

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
