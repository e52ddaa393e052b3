// SPDX-License-Identifier: Apache-2.0
// Every family of commands, one file each. A new family adds a line here and one in table.cc.
#pragma once

#include <span>

#include "server/commands/spec.h"

namespace engram {

std::span<const CommandSpec> admin_commands();
std::span<const CommandSpec> client_commands();
std::span<const CommandSpec> command_commands();
std::span<const CommandSpec> config_commands();
std::span<const CommandSpec> connection_commands();
std::span<const CommandSpec> expiry_commands();
std::span<const CommandSpec> info_commands();
std::span<const CommandSpec> key_change_commands();
std::span<const CommandSpec> key_commands();
std::span<const CommandSpec> latency_commands();
std::span<const CommandSpec> object_commands();
std::span<const CommandSpec> persistence_commands();
std::span<const CommandSpec> string_commands();
std::span<const CommandSpec> string_edit_commands();
std::span<const CommandSpec> transaction_commands();
std::span<const CommandSpec> watching_commands();

}  // namespace engram
