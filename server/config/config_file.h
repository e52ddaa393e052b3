// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <istream>
#include <string>

#include "core/result.h"
#include "server/config/config.h"

namespace engram {

/// Applies a file of "name value" lines to `config`. '#' starts a comment line; values may be
/// quoted as in inline commands; several words make one value ("bind 127.0.0.1 ::1"). Errors name
/// the file and the line; the lines before it have then been applied.
Status load_config_file(const std::string& path, ServerConfig& config);

/// The same for lines from anywhere; `path` names them in errors.
Status apply_config(std::istream& lines, const std::string& path, ServerConfig& config);

}  // namespace engram
