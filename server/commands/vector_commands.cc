// SPDX-License-Identifier: Apache-2.0
#include "server/commands/vector_commands.h"

namespace engram {

std::span<const CommandSpec> vector_commands() {
  return {};
}

}  // namespace engram
