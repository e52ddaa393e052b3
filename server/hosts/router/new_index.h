// SPDX-License-Identifier: Apache-2.0
// What a router takes out of a VNEW.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "core/result.h"
#include "server/hosts/router/layout.h"

namespace engram::router {

/// Microseconds since 1970, of which epochs are made.
std::uint64_t layout_clock_us();

/// The layout that argv, a VNEW, asks for, as it is while it is made; PARTITIONS is taken out of
/// argv. Errors: kInvalidArgument; kUnsupported for what partitions cannot have.
Result<Layout> read_new_index(std::vector<std::string>& argv, std::size_t default_partitions);

}  // namespace engram::router
