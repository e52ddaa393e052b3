// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string_view>

#include "core/result.h"
#include "server/engine/collection.h"

namespace engram {

/// Refuses more results (keys with a number each) than one request may ask for, which bounds the
/// memory of its answer. Errors: kInvalidArgument.
Status check_result_count(std::size_t results);

/// The bytes of an answer, or of an element of a batch's, that are given at once.
inline constexpr std::size_t kMostAnswerBytes = std::size_t{512} << 20;

/// Refuses one of more bytes than `most`, which are known when it is there. Errors:
/// kInvalidArgument; it advises to ask for a smaller `count`.
Status check_answer_bytes(std::size_t bytes, std::string_view count,
                          std::size_t most = kMostAnswerBytes);

/// About what one result takes in an answer: its key, a number, and what frames them.
std::size_t result_bytes(const Collection& collection);

}  // namespace engram
