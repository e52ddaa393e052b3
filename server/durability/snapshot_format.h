// SPDX-License-Identifier: Apache-2.0
// The parts of a snapshot that are not sections, as FORMAT.md lays them out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/aligned_buffer.h"
#include "core/result.h"
#include "server/durability/file_system.h"
#include "server/durability/store_files.h"

namespace engram {

inline constexpr std::uint32_t kSnapshotVersion = 2;
inline constexpr std::size_t kSnapshotPageBytes = 4096;
inline constexpr std::size_t kSectionNameBytes = 32;

/// What one checksum covers: small enough that a search which touches rows at random reads little
/// else, large enough that the checksums of a terabyte are 64 MiB.
inline constexpr std::size_t kSnapshotBlockBytes = std::size_t{64} << 10;

/// An entry of the table of contents.
struct SnapshotEntry {
  std::uint64_t owner;  ///< 0: the store, else a collection's id
  std::string name;
  std::uint64_t offset;  ///< a multiple of a page
  std::uint64_t length;  ///< without the padding
  /// Of the blocks of the section with its padding, the last of which may be shorter.
  std::vector<std::uint32_t> checksums;
  /// Larger in version 1: one checksum covers the section.
  std::uint64_t block_bytes = kSnapshotBlockBytes;
};

/// Rounded up to whole pages.
constexpr std::uint64_t padded(std::uint64_t bytes) noexcept {
  return round_up(bytes, kSnapshotPageBytes);
}

/// The checksums of a section whose bytes come in pieces.
class BlockChecksums {
 public:
  void add(std::span<const std::byte> bytes);
  /// Of all that was added; begins anew.
  std::vector<std::uint32_t> take() { return std::exchange(checksums_, {}); }

 private:
  std::vector<std::uint32_t> checksums_;
  std::size_t filled_ = 0;  // bytes in the last block
};

struct SnapshotSummary {
  Lsn replay_from;
  std::int64_t begun_ms;
  std::vector<SnapshotEntry> entries;
};

std::string encode_snapshot_header(const StoreId& id);

/// The table of contents and the footer; it follows the last section at `offset`.
std::string encode_snapshot_end(const StoreId& id, const SnapshotSummary& summary,
                                std::uint64_t offset);

/// The header repeats what the footer says, but for the version, which shows by itself.
enum class HeaderCheck : std::uint8_t { kStrict, kPassOver };

/// Reads all but the sections, and checks it. `id` as in SnapshotFile::open. Errors: kDataLoss,
/// kUnsupported, kIo; the message has the file's name.
Result<SnapshotSummary> read_summary(const ReadableFile& file, StoreId& id,
                                     HeaderCheck header = HeaderCheck::kStrict);

}  // namespace engram
