// SPDX-License-Identifier: Apache-2.0
// The attributes of items: a JSON object for each key that was given one. A put may give it, too.
#pragma once

#include <optional>
#include <string_view>

#include "core/result.h"
#include "server/engine/store.h"

namespace engram {

struct SetAttributesRequest {
  std::string_view index;
  std::string_view key;
  std::string_view attributes;  ///< a JSON object; empty: none
};

/// Gives a key attributes in the place of those that it has. False if there is no such index or
/// key. Errors: those of check_attributes() and find_index(); kResourceExhausted.
Result<bool> set_attributes(Store& store, const SetAttributesRequest& request);

/// The JSON object of a key, as it was given, until the next write; nothing if the key has none, or
/// there is no such index or key. Errors: those of find_index().
Result<std::optional<std::string_view>> get_attributes(Store& store, std::string_view index,
                                                       std::string_view key);

}  // namespace engram
