// SPDX-License-Identifier: Apache-2.0
#include "server/durability/row_files.h"

#include <sys/mman.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <mutex>

#include "core/reserved_memory.h"
#include "server/durability/page_faults.h"

namespace engram {
namespace {

/// Pages of one index. A page that cannot be read back condemns them all.
class RowFile final : public RowPages {
 public:
  RowFile(FileSystem& disk, const std::string& directory, RowReads reads)
      : disk_(disk), directory_(directory), reads_(reads) {}

  Status extend(std::byte* address, std::size_t bytes) override {
    const std::lock_guard lock(mutex_);
    ENGRAM_TRY(open());
    ENGRAM_TRY(file_->extend(address, bytes));
    advise(address, bytes);
    const auto begin = reinterpret_cast<std::uintptr_t>(address);
    const auto [part, is_new] =
        parts_.emplace(begin, std::make_unique<Part>(begin, bytes, is_lost_));
    watch_faults(begin, *part->second);
    return {};
  }

  void advise(std::byte* address, std::size_t bytes) noexcept override {
    if (reads_ == RowReads::kAtRandom) ::madvise(address, bytes, MADV_RANDOM);
  }

  void withdraw(std::byte* address, std::size_t bytes) noexcept override {
    const auto begin = reinterpret_cast<std::uintptr_t>(address);
    const std::lock_guard lock(mutex_);
    const auto first = parts_.lower_bound(begin);
    const auto last = parts_.lower_bound(begin + bytes);
    for (auto part = first; part != last; ++part) forget_faults(part->first);
    parts_.erase(first, last);
  }

  Status check() const override {
    if (!is_lost_.load(std::memory_order_relaxed)) return {};
    return fail(ErrorCode::kDataLoss,
                "a vector cannot be read back from the disk, or has found no room there; it is in "
                "the snapshot or the "
                "journal, which a restart reads");
  }

 private:
  /// What one call of extend() gave.
  class Part final : public FaultTaker {
   public:
    Part(std::uintptr_t begin, std::size_t bytes, std::atomic<bool>& is_lost)
        : begin_(begin), bytes_(bytes), is_lost_(is_lost) {}

    bool contains(std::uintptr_t address) const noexcept override {
      return address - begin_ < bytes_;
    }

    bool take_fault(std::uintptr_t address, bool is_lost) noexcept override {
      if (!is_lost) return false;
      is_lost_.store(true);
      void* const page = reinterpret_cast<void*>(address / kPageBytes * kPageBytes);
      void* const zeros = ::mmap(page, kPageBytes, PROT_READ | PROT_WRITE,
                                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
      if (zeros == MAP_FAILED) std::abort();
      return true;
    }

   private:
    const std::uintptr_t begin_;
    const std::size_t bytes_;
    std::atomic<bool>& is_lost_;
  };

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
  std::atomic<bool> is_lost_ = false;
  std::mutex mutex_;                                       // guards what follows; not the handler's
  std::unique_ptr<UnnamedFile> file_;                      // null before the first rows
  std::map<std::uintptr_t, std::unique_ptr<Part>> parts_;  // by their begin
};

}  // namespace

std::unique_ptr<RowPages> RowFiles::make(RowReads reads) const {
  return std::make_unique<RowFile>(disk_, directory_, reads);
}

}  // namespace engram
