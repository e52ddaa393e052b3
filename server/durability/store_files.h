// SPDX-License-Identifier: Apache-2.0
// A data directory: which files there are, and the lock that keeps others out.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/result.h"
#include "server/durability/file_system.h"

namespace engram {

/// The number of a frame of the journal, from 1. 0: none.
using Lsn = std::uint64_t;

/// Tells one store from every other.
using StoreId = std::array<std::byte, 16>;

// The files of a store, beside the segments of its journal.
inline constexpr std::string_view kLockName = "engram.lock";
inline constexpr std::string_view kSnapshotName = "snapshot.engram";
inline constexpr std::string_view kPreviousSnapshotName = "snapshot.previous";
inline constexpr std::string_view kUnfinishedSnapshotName = "snapshot.tmp";
inline constexpr std::string_view kUnfinishedSegmentName = "journal.tmp";
inline constexpr std::string_view kSyncedName = "engram.synced";
inline constexpr std::string_view kUnfinishedSyncedName = "synced.tmp";

/// The LSN in the name of a segment; nothing if it is the name of another file.
std::optional<Lsn> segment_lsn(std::string_view name);

/// Whether a directory with files of these names holds a store.
bool holds_store(const std::vector<std::string>& names);

/// Threads: the const members are for any; the others are for one at a time.
class StoreFiles {
 public:
  /// Locks an existing directory, and removes the files that were never finished.
  /// Errors: kAlreadyExists if another process has it open, kIo.
  static Result<std::unique_ptr<StoreFiles>> open(FileSystem& disk, std::string directory);

  /// As open(), but leaves every file as it is.
  static Result<std::unique_ptr<StoreFiles>> inspect(FileSystem& disk, std::string directory);

  [[nodiscard]] FileSystem& disk() const noexcept { return disk_; }
  [[nodiscard]] const std::string& directory() const noexcept { return directory_; }

  /// Of the store that was found, or that begins here.
  [[nodiscard]] const StoreId& id() const noexcept { return id_; }
  void set_id(const StoreId& id) noexcept { id_ = id; }

  [[nodiscard]] std::string path_of(std::string_view name) const;
  [[nodiscard]] std::string snapshot_path() const;
  [[nodiscard]] std::string previous_snapshot_path() const;
  [[nodiscard]] std::string unfinished_snapshot_path() const;
  [[nodiscard]] std::string segment_path(Lsn first) const;
  [[nodiscard]] std::string unfinished_segment_path() const;
  [[nodiscard]] std::string synced_path() const;
  [[nodiscard]] std::string unfinished_synced_path() const;

  /// The first LSNs of the segments there are, ascending. Errors: kIo.
  [[nodiscard]] Result<std::vector<Lsn>> segments() const;

 private:
  StoreFiles(FileSystem& disk, std::string directory, std::unique_ptr<DirectoryLock> lock)
      : disk_(disk), directory_(std::move(directory)), lock_(std::move(lock)) {}

  FileSystem& disk_;
  const std::string directory_;
  const std::unique_ptr<DirectoryLock> lock_;
  StoreId id_ = {};
};

}  // namespace engram
