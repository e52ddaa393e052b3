// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "core/result.h"
#include "server/durability/change.h"

namespace engram::host {

/// What one ENGRAM.APPLY says. It refers to the bytes that it was read from.
struct Frame {
  std::optional<NewCollection> creation = {};  ///< what it begins with, if that makes the index
  std::string_view changes = {};               ///< to the content, without the creation
  std::size_t puts = 0;
  std::size_t slots = 0;  ///< one past the highest that is put to; 0 if none is
};

/// Reads all of a frame for `key`. Whatever is sound here concerns the index of that key alone.
/// Errors: kDataLoss for bytes that are no changes, kInvalidArgument for a change to anything else.
Result<Frame> read_frame(std::string_view key, std::string_view bytes);

}  // namespace engram::host
