// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "server/hosts/module/redis_module.h"

namespace engram::host {

/// The native type of indexes, "engramIDX".
Type* index_type() noexcept;

/// Registers it. False if the server refuses.
bool register_index_type(Context* context);

}  // namespace engram::host
