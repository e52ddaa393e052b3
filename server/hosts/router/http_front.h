// SPDX-License-Identifier: Apache-2.0
// Clients of a router that speak HTTP.
#pragma once

#include "server/hosts/router/router.h"

namespace engram::router {

/// For Router::make().
HttpDoorway http_doorway();

}  // namespace engram::router
