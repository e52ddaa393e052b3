// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "core/result.h"
#include "server/engine/collection.h"

namespace engram {

/// Refuses more results (keys with a number each) than one request may ask for, which bounds the
/// memory of its answer. Errors: kInvalidArgument.
Status check_result_count(std::size_t results);

/// About what one result takes in an answer: its key, a number, and what frames them.
std::size_t result_bytes(const Collection& collection);

}  // namespace engram
