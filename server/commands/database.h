// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "server/commands/context.h"

namespace engram {

/// Whether `number` is that of a database, of which there is one; writes the error otherwise.
bool check_database(CommandContext& context, std::string_view number);

}  // namespace engram
