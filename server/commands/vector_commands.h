// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

#include "server/commands/spec.h"

namespace engram {

/// The commands of vector collections (V*).
std::span<const CommandSpec> vector_commands();

}  // namespace engram
