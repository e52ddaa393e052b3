// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace engram {

/// Splits a line at white space. "Double quotes" know \n \r \t \b \a \\ \" and \xNN, 'single
/// quotes' only \'; a closing quote must be followed by white space or the end. The bytes go to
/// `arena`, which the views point into. Returns false if quotes are unbalanced. Also the syntax of
/// configuration files.
bool split_inline(std::string_view line, std::string& arena,
                  std::vector<std::string_view>& arguments);

}  // namespace engram
