// SPDX-License-Identifier: Apache-2.0
// An index of P partitions becomes one of 2P while it is in use. growth_steps.h has the layouts
// that it goes through. Threads: the event loop's only.
#pragma once

#include <string>

#include "server/hosts/router/call.h"

namespace engram::router {

/// Brings an index that is between two layouts, and whose growth nobody is at, to where it is in
/// use. What that comes to its layout says.
void settle_growth(RouterServices& services, const std::string& index);

}  // namespace engram::router
