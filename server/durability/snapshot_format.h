// SPDX-License-Identifier: Apache-2.0
// The parts of a snapshot that are not sections, as FORMAT.md lays them out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "server/durability/store_files.h"

namespace engram {

inline constexpr std::uint32_t kSnapshotVersion = 1;
inline constexpr std::size_t kSnapshotPageBytes = 4096;
inline constexpr std::size_t kSectionNameBytes = 32;

/// An entry of the table of contents.
struct SnapshotEntry {
  std::uint64_t owner;  ///< 0: the store, else a collection's id
  std::string name;
  std::uint64_t offset;    ///< a multiple of a page
  std::uint64_t length;    ///< without the padding
  std::uint32_t checksum;  ///< of the section with its padding
};

/// Rounded up to whole pages.
constexpr std::uint64_t padded(std::uint64_t bytes) noexcept {
  return (bytes + kSnapshotPageBytes - 1) / kSnapshotPageBytes * kSnapshotPageBytes;
}

struct SnapshotSummary {
  Lsn replay_from;
  std::int64_t begun_ms;
  std::vector<SnapshotEntry> entries;
};

std::string encode_snapshot_header(const StoreId& id);

/// The table of contents and the footer; it follows the last section at `offset`.
std::string encode_snapshot_end(const StoreId& id, const SnapshotSummary& summary,
                                std::uint64_t offset);

/// Reads all but the sections out of a whole file, and checks it. `id` as in SnapshotFile::open.
/// Errors: kDataLoss, kUnsupported; the message is to be read after the file's name.
Result<SnapshotSummary> parse_snapshot(std::string_view file, StoreId& id);

}  // namespace engram
