// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "core/result.h"
#include "server/durability/snapshot_file.h"
#include "server/durability/store_sections.h"

namespace engram {

struct SnapshotContents {
  std::uint64_t strings = 0;
  std::uint64_t collections = 0;
  StoreCounters counters;
};

/// Compares every checksum and decodes every change. Errors: kDataLoss naming the place.
Result<SnapshotContents> examine_snapshot(const SnapshotFile& snapshot);

}  // namespace engram
