// SPDX-License-Identifier: Apache-2.0
#include "server/durability/mapped_rows.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>
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
  MappedRows(const FileOfRows& rows, UniqueFd file, const struct stat& of, RowReads reads)
      : path_(rows.path),
        begin_(rows.begin),
        file_(std::move(file)),
        identity_(of),
        reads_(reads) {}

  [[nodiscard]] bool has_rows() const noexcept override { return true; }

  [[nodiscard]] std::size_t lead() const noexcept override { return begin_ % kPageBytes; }

  Status extend(std::byte* address, std::size_t bytes, std::size_t offset) override {
    const std::size_t first = begin_ - lead() + offset;
    const auto size = static_cast<std::size_t>(identity_.size);
    const std::size_t left = size - std::min(size, first);
    const std::size_t of_file = std::min(bytes, round_up(left, kPageBytes));
    if (of_file > 0) ENGRAM_TRY(map(address, of_file, 0, file_.get(), first));
    if (of_file < bytes) ENGRAM_TRY(map(address + of_file, bytes - of_file, MAP_ANONYMOUS, -1, 0));
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
  Status map(std::byte* address, std::size_t bytes, int flags, int fd, std::size_t offset) {
    void* const mapped =
        ::mmap(address, bytes, PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE | flags, fd, static_cast<off_t>(offset));
    if (mapped != MAP_FAILED) {
      if (fd >= 0) advise(address, bytes);
      return {};
    }
    return fail(
        ErrorCode::kResourceExhausted,
        "cannot map " + std::to_string(bytes) + " bytes of " + path_ + ": " + std::strerror(errno));
  }

  const std::string path_;
  const std::size_t begin_;  // of rows
  const UniqueFd file_;
  const Identity identity_;
  const RowReads reads_;
  LostPages lost_;
};

}  // namespace

Result<std::unique_ptr<RowPages>> map_rows(const FileOfRows& rows, std::size_t row_bytes,
                                           RowReads reads) {
  const std::string path(rows.path);
  const auto refuse = [&path](const std::string& why) {
    return fail(ErrorCode::kInvalidArgument, path + why);
  };
  UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.valid()) {
    const ErrorCode code = errno == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo;
    return fail(code, "cannot open " + path + ": " + std::strerror(errno));
  }
  struct stat of {};
  if (::fstat(file.get(), &of) != 0) {
    return fail(ErrorCode::kIo, "cannot read " + path + ": " + std::strerror(errno));
  }
  if (!S_ISREG(of.st_mode)) return refuse(" is no regular file");
  const auto size = static_cast<std::size_t>(of.st_size);
  if (rows.begin % sizeof(float) != 0 || rows.begin > size) {
    return refuse(" has " + std::to_string(size) + " bytes, and rows cannot begin at byte " +
                  std::to_string(rows.begin) + ": expected a multiple of 4 within the file");
  }
  if ((size - rows.begin) % row_bytes != 0) {
    return refuse(" has " + std::to_string(size - rows.begin) +
                  " bytes of rows, which is no whole number of rows of " +
                  std::to_string(row_bytes));
  }
  return std::make_unique<MappedRows>(rows, std::move(file), of, reads);
}

}  // namespace engram
