// SPDX-License-Identifier: Apache-2.0
// What INFO tells of commands: sections of "name:value" lines.
#pragma once

#include <string>

#include "server/commands/context.h"

namespace engram {

std::string command_stats_lines(const Services& services);
std::string error_stats_lines(const Services& services);
/// Empty while nothing is tracked.
std::string latency_stats_lines(const Services& services);

}  // namespace engram
