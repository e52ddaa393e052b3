// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace engram {

/// Whether a redis.conf may have a parameter of that name, in any case, of which this server knows
/// nothing: it is no mistake, and means nothing here.
bool is_redis_parameter(std::string_view name);

}  // namespace engram
