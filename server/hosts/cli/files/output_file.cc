// SPDX-License-Identifier: Apache-2.0
#include "server/hosts/cli/files/output_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "server/durability/file_system.h"

namespace engram {
namespace {

constexpr std::size_t kOutputBufferBytes = 256UL * 1024;

}  // namespace

Result<OutputFile> OutputFile::create(const std::string& path) {
  constexpr int kMostNames = 100;  // which others may have left, or laid there
  const std::string begin = path + ".part-" + std::to_string(::getpid());
  std::string temporary = begin;
  for (int number = 1;; ++number) {
    UniqueFd fd(::open(temporary.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
    if (fd.valid()) return OutputFile(path, std::move(temporary), std::move(fd));
    if (errno != EEXIST || number == kMostNames) {
      return fail(ErrorCode::kIo, "cannot create " + temporary + ": " + std::strerror(errno));
    }
    temporary = begin + "-" + std::to_string(number);
  }
}

OutputFile::OutputFile(OutputFile&& other) noexcept
    : path_(std::move(other.path_)),
      temporary_(std::exchange(other.temporary_, {})),
      fd_(std::move(other.fd_)),
      buffer_(std::move(other.buffer_)) {}

OutputFile::~OutputFile() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

tl::unexpected<Error> OutputFile::failed(const char* what) const {
  const ErrorCode code = errno == ENOSPC || errno == EDQUOT ? ErrorCode::kNoSpace : ErrorCode::kIo;
  return fail(code, std::string("cannot ") + what + " " + path_ + ": " + std::strerror(errno));
}

Status OutputFile::flush() {
  std::string_view rest = buffer_;
  while (!rest.empty()) {
    const ssize_t written = ::write(fd_.get(), rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return failed("write");
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
  buffer_.clear();
  return {};
}

Status OutputFile::write(std::string_view bytes) {
  buffer_.append(bytes);
  return buffer_.size() < kOutputBufferBytes ? Status() : flush();
}

Status OutputFile::rewrite_begin(std::string_view bytes) {
  ENGRAM_TRY(flush());
  const ssize_t written = ::pwrite(fd_.get(), bytes.data(), bytes.size(), 0);
  if (written == static_cast<ssize_t>(bytes.size())) return {};
  return failed("write");
}

Status OutputFile::finish() {
  ENGRAM_TRY(flush());
  if (::fsync(fd_.get()) != 0) return failed("sync");
  if (std::rename(temporary_.c_str(), path_.c_str()) != 0) return failed("create");
  temporary_.clear();
  const std::size_t slash = path_.rfind('/');
  const std::string directory = slash == std::string::npos ? "." : path_.substr(0, slash + 1);
  return posix_file_system().sync_directory(directory);
}

}  // namespace engram
