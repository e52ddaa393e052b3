// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "server/commands/context.h"
#include "server/commands/spec.h"

namespace engram {

/// Whether argument `i` of a command with command_flag::kTellsSecrets is a password, or may be one:
/// SLOWLOG and MONITOR do not tell it.
bool is_secret(const CommandSpec& spec, Arguments argv, std::size_t i);

}  // namespace engram
