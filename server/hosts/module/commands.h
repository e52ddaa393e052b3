// SPDX-License-Identifier: Apache-2.0
// The commands of vectors, as the server of Redis or Valkey calls them: ENGRAM.VADD and its kin
// always, VADD where that name is free.
#pragma once

#include "server/hosts/module/redis_module.h"

namespace engram::host {

/// Registers all. False if the server refuses one under its full name.
bool register_commands(Context* context);

/// Creates a command and says where its keys are. `flags` as the server has them, `first_key` 0:
/// it has none. False if the name is taken.
bool register_command(Context* context, const char* name, CommandHandler handler, const char* flags,
                      int first_key, KeySpec* keys);

}  // namespace engram::host
