// SPDX-License-Identifier: Apache-2.0
#include "server/requests/answer_size.h"

#include <string>

namespace engram {

Status check_result_count(std::size_t results) {
  constexpr std::size_t kMostResults = std::size_t{1} << 22;
  if (results <= kMostResults) return {};
  return fail(ErrorCode::kInvalidArgument, "the command asks for " + std::to_string(results) +
                                               " answers, at most " + std::to_string(kMostResults) +
                                               " are given at once");
}

Status check_answer_bytes(std::size_t bytes, std::string_view count, std::size_t most) {
  if (bytes <= most) return {};
  return fail(ErrorCode::kInvalidArgument, "the answer has " + std::to_string(bytes) +
                                               " bytes, at most " + std::to_string(most) +
                                               " are given at once: ask for a smaller " +
                                               std::string(count));
}

std::size_t result_bytes(const Collection& collection) {
  constexpr std::size_t kNumberAndFraming = 32;
  return collection.mean_key_bytes() + kNumberAndFraming;
}

}  // namespace engram
