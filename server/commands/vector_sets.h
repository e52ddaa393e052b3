// SPDX-License-Identifier: Apache-2.0
// What the commands of vector sets share.
#pragma once

#include <optional>

#include "core/result.h"
#include "server/commands/context.h"
#include "server/requests/index_ref.h"

namespace engram {

/// Whether the arguments of a VADD are those of a vector set: only there does FP32, VALUES or
/// REDUCE stand before what is added.
bool is_set_add(Arguments argv);

/// VADD of a vector set.
void vadd_to_set(CommandContext& context);

/// The set that the command is about; nothing if there is none. Errors: those of find_index().
Result<std::optional<IndexRef>> find_set(CommandContext& context);

}  // namespace engram
