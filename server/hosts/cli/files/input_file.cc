// SPDX-License-Identifier: Apache-2.0
#include "server/hosts/cli/files/input_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace engram {
namespace {

constexpr std::size_t kBufferBytes = 256UL * 1024;

tl::unexpected<Error> cannot_read(const std::string& path) {
  return fail(ErrorCode::kIo, "cannot read " + path + ": " + std::strerror(errno));
}

}  // namespace

Status check_readable(const std::string& path) {
  if (::access(path.c_str(), R_OK) != 0) return cannot_read(path);
  return {};
}

Result<InputFile> InputFile::open(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat status {};
  if (!fd.valid() || ::fstat(fd.get(), &status) != 0) return cannot_read(path);
  if (S_ISDIR(status.st_mode)) {
    errno = EISDIR;
    return cannot_read(path);
  }
  InputFile file(path, std::move(fd));
  file.is_regular_ = S_ISREG(status.st_mode);
  file.size_ = file.is_regular_ ? static_cast<std::uint64_t>(status.st_size) : 0;
  const std::uint64_t wanted = file.is_regular_ ? file.size_ + 1 : kBufferBytes;
  file.buffer_.resize(std::min<std::uint64_t>(wanted, kBufferBytes));
  return file;
}

Status InputFile::refill() {
  ssize_t got = 0;
  do {
    got = ::read(fd_.get(), buffer_.data(), buffer_.size());
  } while (got < 0 && errno == EINTR);
  if (got < 0) return cannot_read(path_);
  begin_ = 0;
  end_ = static_cast<std::size_t>(got);
  return {};
}

Result<std::size_t> InputFile::read(std::span<std::byte> room) {
  std::size_t filled = 0;
  while (filled < room.size()) {
    if (begin_ == end_) ENGRAM_TRY(refill());
    if (begin_ == end_) break;
    const std::size_t count = std::min(room.size() - filled, end_ - begin_);
    std::memcpy(room.data() + filled, buffer_.data() + begin_, count);
    begin_ += count;
    filled += count;
  }
  position_ += filled;
  return filled;
}

Result<std::size_t> InputFile::peek(std::span<std::byte> room) {
  auto got = read(room);
  if (!got) return got;
  begin_ -= *got;
  position_ -= *got;
  return got;
}

Result<bool> InputFile::read_line(std::string& line, std::size_t most) {
  line.clear();
  for (bool is_first = true;; is_first = false) {
    if (begin_ == end_) ENGRAM_TRY(refill());
    if (begin_ == end_) return !is_first;
    const char* const from = buffer_.data() + begin_;
    const auto* const found = static_cast<const char*>(std::memchr(from, '\n', end_ - begin_));
    const std::size_t count =
        found == nullptr ? end_ - begin_ : static_cast<std::size_t>(found - from);
    if (line.size() + count > most) {
      return fail(ErrorCode::kDataLoss, path_ + " has a line of more than " + std::to_string(most) +
                                            " bytes, at byte " +
                                            std::to_string(position_ - line.size()));
    }
    line.append(from, count);
    const std::size_t taken = count + (found == nullptr ? 0 : 1);
    begin_ += taken;
    position_ += taken;
    if (found != nullptr) return true;
  }
}

}  // namespace engram
