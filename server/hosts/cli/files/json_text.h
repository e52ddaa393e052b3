// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string_view>

namespace engram {

/// The text of the first member of that name, in `object`, which a JsonReader has read as an
/// object. `name` has nothing that JSON escapes; a name that is written with escapes is not found.
std::optional<std::string_view> json_member_text(std::string_view object, std::string_view name);

}  // namespace engram
