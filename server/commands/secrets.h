// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "server/commands/context.h"
#include "server/commands/spec.h"

namespace engram {

/// Arguments from `begin` up to `end`, not included.
struct SecretArguments {
  std::size_t begin = 0;
  std::size_t end = 0;

  [[nodiscard]] bool contains(std::size_t i) const noexcept { return begin <= i && i < end; }
};

/// Those arguments of a command that are passwords, or may be: SLOWLOG and MONITOR do not tell
/// them. Only commands with command_flag::kTellsSecrets have any.
SecretArguments secrets_of(const CommandSpec& spec, Arguments argv);

}  // namespace engram
