// SPDX-License-Identifier: Apache-2.0
// The sections of a snapshot that belong to no collection (FORMAT.md).
#pragma once

#include <cstdint>
#include <string_view>

#include "core/result.h"
#include "core/sections.h"
#include "server/durability/snapshot_file.h"
#include "server/durability/store_files.h"

namespace engram {

inline constexpr SectionOwner kStoreOwner = 0;
inline constexpr std::string_view kStringsSection = "strings";
inline constexpr std::string_view kCollectionsSection = "collections";

/// The section "counters".
struct StoreCounters {
  std::uint64_t next_collection_id = 0;
  /// The snapshot is not whole without the journal's frames up to this one, which were written
  /// while it was taken.
  Lsn journal_reaches = 0;
};

Status write_counters(SectionWriter& writer, const StoreCounters& counters);

/// Errors: kDataLoss if the section is not there, or has another size.
Result<StoreCounters> read_counters(SectionReader& sections);

}  // namespace engram
