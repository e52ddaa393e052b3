// SPDX-License-Identifier: Apache-2.0
#include "server/durability/mapped_rows.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <mutex>
#include <utility>

#include "core/aligned_buffer.h"
#include "core/reserved_memory.h"
#include "server/durability/lost_pages.h"
#include "server/net/unique_fd.h"

namespace engram {
namespace {

/// What tells one state of a file from another.
struct Identity {
  dev_t device;
  ino_t inode;
  off_t size;
  std::int64_t seconds;
  std::int64_t nanoseconds;

  explicit Identity(const struct stat& of)
      : device(of.st_dev),
        inode(of.st_ino),
        size(of.st_size),
        seconds(of.st_mtim.tv_sec),
        nanoseconds(of.st_mtim.tv_nsec) {}
  bool operator==(const Identity&) const = default;
};

class MappedRows final : public RowPages {
 public:
  MappedRows(std::string path, UniqueFd file, const struct stat& of, RowReads reads)
      : path_(std::move(path)), file_(std::move(file)), identity_(of), reads_(reads) {}

  [[nodiscard]] bool has_rows() const noexcept override { return true; }

  /// Is called in the order of slots, so that what comes next goes on where the last has ended.
  Status extend(std::byte* address, std::size_t bytes) override {
    const std::lock_guard lock(mutex_);
    const auto size = static_cast<std::size_t>(identity_.size);
    const std::size_t left = size - std::min(size, mapped_);
    const std::size_t of_file = std::min(bytes, round_up(left, kPageBytes));
    if (of_file > 0) ENGRAM_TRY(map(address, of_file, 0, file_.get()));
    if (of_file < bytes) ENGRAM_TRY(map(address + of_file, bytes - of_file, MAP_ANONYMOUS, -1));
    mapped_ += bytes;
    lost_.add(address, bytes);
    return {};
  }

  void advise(std::byte* address, std::size_t bytes) noexcept override {
    if (reads_ == RowReads::kAtRandom) ::madvise(address, bytes, MADV_RANDOM);
  }

  void withdraw(std::byte* address, std::size_t bytes) noexcept override {
    lost_.remove(address, bytes);
  }

  /// Asks the path, too: a file that took its place is not what was searched.
  [[nodiscard]] Status check() const override {
    struct stat now {};
    if (!lost_.any() && ::stat(path_.c_str(), &now) == 0 && Identity(now) == identity_) return {};
    return fail(ErrorCode::kDataLoss,
                path_ +
                    " is not what was opened: it has been changed, cut, replaced or removed, "
                    "or the disk cannot read it; open it again");
  }

 private:
  /// Address space is all that it takes until somebody writes there.
  Status map(std::byte* address, std::size_t bytes, int flags, int fd) {
    const auto offset = static_cast<off_t>(fd < 0 ? 0 : mapped_);
    void* const mapped = ::mmap(address, bytes, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE | flags, fd, offset);
    if (mapped != MAP_FAILED) {
      if (fd >= 0) advise(address, bytes);
      return {};
    }
    return fail(
        ErrorCode::kResourceExhausted,
        "cannot map " + std::to_string(bytes) + " bytes of " + path_ + ": " + std::strerror(errno));
  }

  const std::string path_;
  const UniqueFd file_;
  const Identity identity_;
  const RowReads reads_;
  LostPages lost_;
  std::mutex mutex_;
  std::size_t mapped_ = 0;  // mutex_; bytes of rows that have a place
};

}  // namespace

Result<std::unique_ptr<RowPages>> map_rows(const std::string& path, std::size_t row_bytes,
                                           RowReads reads) {
  UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.valid()) {
    const ErrorCode code = errno == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo;
    return fail(code, "cannot open " + path + ": " + std::strerror(errno));
  }
  struct stat of {};
  if (::fstat(file.get(), &of) != 0) {
    return fail(ErrorCode::kIo, "cannot read " + path + ": " + std::strerror(errno));
  }
  if (!S_ISREG(of.st_mode)) return fail(ErrorCode::kInvalidArgument, path + " is no regular file");
  if (static_cast<std::size_t>(of.st_size) % row_bytes != 0) {
    return fail(ErrorCode::kInvalidArgument, path + " has " + std::to_string(of.st_size) +
                                                 " bytes, which is no whole number of rows of " +
                                                 std::to_string(row_bytes));
  }
  return std::make_unique<MappedRows>(path, std::move(file), of, reads);
}

}  // namespace engram
