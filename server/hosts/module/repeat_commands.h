// SPDX-License-Identifier: Apache-2.0
// What the module says to itself: ENGRAM.APPLY key frame, which repeats what a command has changed,
// and ENGRAM.LOAD key number chunk, a value in chunks, of which an empty one is the last. Replicas
// and the AOF get the former, a rewritten AOF and slot migration the latter. Both check what they
// are given as a journal and a snapshot are checked.
#pragma once

#include "server/hosts/module/redis_module.h"

namespace engram::host {

/// False if the server refuses one.
bool register_repeat_commands(Context* context);

/// Values that have begun to arrive.
std::size_t pending_loads() noexcept;

}  // namespace engram::host
