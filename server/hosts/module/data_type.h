// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "server/engine/collection.h"
#include "server/hosts/module/redis_module.h"

namespace engram::host {

/// The native type of indexes, "engramIDX".
Type* index_type() noexcept;

/// Makes a key that is open for writing hold the index. False if the server refuses.
bool set_index(Key* key, std::shared_ptr<Collection> collection);

/// Registers it. False if the server refuses.
bool register_index_type(Context* context);

}  // namespace engram::host
