// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <istream>
#include <string>
#include <vector>

#include "core/result.h"
#include "server/config/config.h"

namespace engram {

/// Settings of a file that have no effect here, as they stand there: parameters of Redis alone, and
/// values of those that have only one here.
using UnusedSettings = std::vector<std::string>;

/// Applies a file of "name value" lines to `config`. '#' starts a comment line; values may be
/// quoted as in inline commands; several words make one value ("bind 127.0.0.1 ::1"). Lines of
/// `save` add up, as in redis.conf. Errors name the file and the line; the lines before it have
/// then been applied.
Result<UnusedSettings> load_config_file(const std::string& path, ServerConfig& config);

/// The same for lines from anywhere; `path` names them in errors.
Result<UnusedSettings> apply_config(std::istream& lines, const std::string& path,
                                    ServerConfig& config);

}  // namespace engram
