// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace engram {

/// Redis's patterns over bytes: * ? [abc] [a-z] [^a] and \ before a literal byte. At most
/// pattern * text steps, whatever the pattern.
bool glob_match(std::string_view pattern, std::string_view text, bool ignore_case = false);

}  // namespace engram
