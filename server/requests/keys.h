// SPDX-License-Identifier: Apache-2.0
// Keys as a whole, whatever they hold. All are done when they return.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "core/result.h"
#include "server/engine/store.h"

namespace engram {

struct RenameRequest {
  std::string_view from;
  std::string_view to;
  bool only_if_free = false;  ///< `to` must not be there
};

/// Gives what `from` holds another name, with its time to live; what `to` held is gone. Answers
/// whether that was done. Errors: kNotFound; kResourceExhausted as check_room().
Result<bool> rename_key(Store& store, const RenameRequest& request);

struct CopyRequest {
  std::string_view from;
  std::string_view to;
  bool replace = false;  ///< `to` may be there
};

/// Copies a string with its time to live. Answers whether that was done. Errors: kInvalidArgument
/// if both are one key, kUnsupported for an index, kResourceExhausted as check_room().
Result<bool> copy_key(Store& store, const CopyRequest& request);

/// A key at random, each as likely as another; nothing if there is none. Valid until the next
/// change.
std::optional<std::string_view> random_key(Store& store);

/// Whether a change with `bytes` that the command itself does not hold fits into what the journal
/// takes as one. Errors: kResourceExhausted.
Status check_room(const Keyspace& keyspace, std::size_t bytes);

}  // namespace engram
