// SPDX-License-Identifier: Apache-2.0
// Keys as a whole, whatever they hold. All are done when they return.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

#include "core/result.h"
#include "server/durability/change.h"
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

/// Whether changes of `bytes` fit into what the journal takes as one, beside what the command, or
/// the transaction, has recorded. To be asked before any that have bytes which the command itself
/// does not hold, or holds once and which are recorded more than once. Errors: kResourceExhausted.
Status check_room(const Keyspace& keyspace, std::size_t bytes);

/// What a change to that key of an index is recorded in, at most, beside its vector.
inline std::size_t change_bytes(std::string_view key) noexcept {
  return key.size() + kChangeFraming;
}
/// Of one change to each.
std::size_t change_bytes(std::span<const std::string_view> keys) noexcept;

}  // namespace engram
