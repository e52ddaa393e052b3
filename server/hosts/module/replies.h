// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "server/hosts/module/redis_module.h"

namespace engram::host {

/// Gives one whole reply, as a ReplyWriter has written it, to the client of `context`. Numbers that
/// RESP3 marks as such are spelled as the server spells them; all else arrives as it is.
void give_reply(Context* context, std::string_view reply);

}  // namespace engram::host
