// SPDX-License-Identifier: Apache-2.0
// The sections of a snapshot that belong to no collection (server/durability/FORMAT.md).
#pragma once

#include <string_view>

#include "server/durability/snapshot_file.h"

namespace engram {

inline constexpr SectionOwner kStoreOwner = 0;
inline constexpr std::string_view kStringsSection = "strings";
inline constexpr std::string_view kCollectionsSection = "collections";
inline constexpr std::string_view kCountersSection = "counters";

}  // namespace engram
