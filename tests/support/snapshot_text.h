// SPDX-License-Identifier: Apache-2.0
// A snapshot as text, taken apart and put together again.
#pragma once

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <utility>

#include "server/durability/snapshot_format.h"
#include "tests/support/memory_file_system.h"

namespace engram::test {

struct SnapshotParts {
  SnapshotSummary summary;
  StoreId id{};
};

inline SnapshotParts parts_of(const std::string& snapshot) {
  MemoryFileSystem disk({{"snapshot", snapshot}});
  const auto file = std::move(*disk.open_for_reading("snapshot"));
  StoreId id{};
  const auto summary = read_summary(*file, id);
  REQUIRE(summary.has_value());
  return {*summary, id};
}

/// The sections of `snapshot` behind which `parts` are written.
inline std::string with_parts(const std::string& snapshot, const SnapshotParts& parts) {
  const SnapshotEntry& last = parts.summary.entries.back();
  const std::uint64_t table = last.offset + padded(last.length);
  return snapshot.substr(0, table) + encode_snapshot_end(parts.id, parts.summary, table);
}

}  // namespace engram::test
