// SPDX-License-Identifier: Apache-2.0
// The log of the process: one line for each message, with time and level. Any thread may call
// these.
#pragma once

#include <string_view>

namespace engram {

/// From here on the log goes to the standard error, under the name of the program. Before, it goes
/// to the standard output. Called once, before there are threads.
void open_log(const char* program);

/// Accepts the names of the configuration parameter `loglevel`; any other changes nothing.
void set_log_level(std::string_view name);

void log_info(std::string_view message);
void log_warning(std::string_view message);
void log_error(std::string_view message);

}  // namespace engram
