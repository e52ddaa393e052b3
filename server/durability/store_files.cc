// SPDX-License-Identifier: Apache-2.0
#include "server/durability/store_files.h"

#include <algorithm>
#include <limits>

#include "core/text.h"

namespace engram {
namespace {

constexpr std::string_view kSegmentPrefix = "journal-";
constexpr std::string_view kSegmentSuffix = ".log";
constexpr std::size_t kLsnDigits = 20;

// So that counting on never overflows.
constexpr Lsn kLargestLsn = std::numeric_limits<Lsn>::max() / 2;

}  // namespace

std::optional<Lsn> segment_lsn(std::string_view name) {
  if (name.size() != kSegmentPrefix.size() + kLsnDigits + kSegmentSuffix.size() ||
      !name.starts_with(kSegmentPrefix) || !name.ends_with(kSegmentSuffix)) {
    return std::nullopt;
  }
  const auto lsn = parse_number<Lsn>(name.substr(kSegmentPrefix.size(), kLsnDigits));
  return lsn && *lsn != 0 && *lsn <= kLargestLsn ? lsn : std::nullopt;
}

bool holds_store(const std::vector<std::string>& names) {
  return std::any_of(names.begin(), names.end(), [](const std::string& name) {
    return name == kSnapshotName || name == kPreviousSnapshotName || segment_lsn(name).has_value();
  });
}

Result<std::unique_ptr<StoreFiles>> StoreFiles::open(FileSystem& disk, std::string directory) {
  auto files = inspect(disk, std::move(directory));
  if (!files) return files;
  ENGRAM_TRY(disk.remove((*files)->unfinished_snapshot_path()));
  ENGRAM_TRY(disk.remove((*files)->unfinished_segment_path()));
  ENGRAM_TRY(disk.remove((*files)->unfinished_synced_path()));
  return files;
}

Result<std::unique_ptr<StoreFiles>> StoreFiles::inspect(FileSystem& disk, std::string directory) {
  while (directory.size() > 1 && directory.ends_with('/')) directory.pop_back();
  auto lock = disk.lock(directory + "/" + std::string(kLockName));
  if (!lock) return tl::unexpected(std::move(lock.error()));
  std::unique_ptr<StoreFiles> files(new StoreFiles(disk, std::move(directory), std::move(*lock)));
  return files;
}

std::string StoreFiles::snapshot_path() const {
  return path_of(kSnapshotName);
}

std::string StoreFiles::previous_snapshot_path() const {
  return path_of(kPreviousSnapshotName);
}

std::string StoreFiles::unfinished_snapshot_path() const {
  return path_of(kUnfinishedSnapshotName);
}

std::string StoreFiles::segment_path(Lsn first) const {
  std::string digits = std::to_string(first);
  digits.insert(0, kLsnDigits - digits.size(), '0');
  return path_of(std::string(kSegmentPrefix) + digits + std::string(kSegmentSuffix));
}

std::string StoreFiles::unfinished_segment_path() const {
  return path_of(kUnfinishedSegmentName);
}

std::string StoreFiles::synced_path() const {
  return path_of(kSyncedName);
}

std::string StoreFiles::unfinished_synced_path() const {
  return path_of(kUnfinishedSyncedName);
}

std::string StoreFiles::path_of(std::string_view name) const {
  return directory_ + "/" + std::string(name);
}

Result<std::vector<Lsn>> StoreFiles::segments() const {
  const auto names = disk_.list(directory_);
  if (!names) return tl::unexpected(names.error());
  std::vector<Lsn> firsts;
  for (const std::string& name : *names) {
    if (const auto first = segment_lsn(name)) firsts.push_back(*first);
  }
  std::sort(firsts.begin(), firsts.end());
  return firsts;
}

}  // namespace engram
