// SPDX-License-Identifier: Apache-2.0
#include "server/durability/row_files.h"

#include <sys/mman.h>

#include <mutex>

#include "server/durability/lost_pages.h"

namespace engram {
namespace {

/// Pages of one index. A page that cannot be read back condemns them all.
class RowFile final : public RowPages {
 public:
  RowFile(FileSystem& disk, const std::string& directory, RowReads reads)
      : disk_(disk), directory_(directory), reads_(reads) {}

  Status extend(std::byte* address, std::size_t bytes, std::size_t /*offset*/) override {
    const std::lock_guard lock(mutex_);
    ENGRAM_TRY(open());
    ENGRAM_TRY(file_->extend(address, bytes));
    advise(address, bytes);
    lost_.add(address, bytes);
    return {};
  }

  void advise(std::byte* address, std::size_t bytes) noexcept override {
    if (reads_ == RowReads::kAtRandom) ::madvise(address, bytes, MADV_RANDOM);
  }

  void withdraw(std::byte* address, std::size_t bytes) noexcept override {
    lost_.remove(address, bytes);
  }

  Status check() const override {
    if (!lost_.any()) return {};
    return fail(ErrorCode::kDataLoss,
                "a vector cannot be read back from the disk, or has found no room there; it is in "
                "the snapshot or the "
                "journal, which a restart reads");
  }

 private:
  /// A file costs a descriptor, so an index of a few rows has none.
  Status open() {
    if (file_ != nullptr) return {};
    auto file = disk_.create_unnamed(directory_);
    if (!file) return tl::unexpected(std::move(file.error()));
    file_ = std::move(*file);
    return {};
  }

  FileSystem& disk_;
  const std::string directory_;
  const RowReads reads_;
  LostPages lost_;
  std::mutex mutex_;                   // guards what follows
  std::unique_ptr<UnnamedFile> file_;  // null before the first rows
};

}  // namespace

std::unique_ptr<RowPages> RowFiles::make(RowReads reads) const {
  return std::make_unique<RowFile>(disk_, directory_, reads);
}

}  // namespace engram
