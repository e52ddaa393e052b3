// SPDX-License-Identifier: Apache-2.0
// The families of routes, each in a file of its own. router.cc puts them together.
#pragma once

#include <span>

#include "server/doors/http/router.h"

namespace engram {

std::span<const Route> metrics_routes();
std::span<const Route> server_routes();
std::span<const Route> collection_routes();
std::span<const Route> docs_routes();
std::span<const Route> dynamics_routes();
std::span<const Route> listing_routes();
std::span<const Route> map_routes();
std::span<const Route> page_routes();
std::span<const Route> recall_routes();
std::span<const Route> vector_routes();
std::span<const Route> search_routes();

}  // namespace engram
