// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>

#include "server/doors/http/router.h"

namespace engram {

/// The routes as an OpenAPI 3.1 document, in JSON.
std::string openapi_document(std::span<const Route* const> routes);

}  // namespace engram
