// SPDX-License-Identifier: Apache-2.0
#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <utility>

#include "server/durability/file_system.h"
#include "server/net/unique_fd.h"

namespace engram {
namespace {

constexpr mode_t kFileMode = 0644;

// "cannot write /data/journal-00000000000000000001.log: No space left on device"
tl::unexpected<Error> system_failure(std::string_view verb, const std::string& path, int error) {
  const ErrorCode code = error == ENOSPC || error == EDQUOT ? ErrorCode::kNoSpace
                         : error == ENOENT                  ? ErrorCode::kNotFound
                                                            : ErrorCode::kIo;
  return fail(code, "cannot " + std::string(verb) + " " + path + ": " + std::strerror(error));
}

template <class Call>
auto repeat_when_interrupted(Call call) {
  for (;;) {
    const auto result = call();
    if (result >= 0 || errno != EINTR) return result;
  }
}

UniqueFd open_file(const std::string& path, int flags) {
  return UniqueFd(
      repeat_when_interrupted([&] { return ::open(path.c_str(), flags | O_CLOEXEC, kFileMode); }));
}

Result<std::uint64_t> size_of(int fd, const std::string& path) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) return system_failure("examine", path, errno);
  return static_cast<std::uint64_t>(status.st_size);
}

class PosixWritableFile final : public WritableFile {
 public:
  PosixWritableFile(UniqueFd fd, std::string path, std::uint64_t size)
      : fd_(std::move(fd)), path_(std::move(path)), size_(size) {}

  Status append(std::span<const std::byte> bytes) override {
    while (!bytes.empty()) {
      const ssize_t written =
          repeat_when_interrupted([&] { return ::write(fd_.get(), bytes.data(), bytes.size()); });
      if (written <= 0) return system_failure("write", path_, written < 0 ? errno : EIO);
      size_ += static_cast<std::uint64_t>(written);
      bytes = bytes.subspan(static_cast<std::size_t>(written));
    }
    return {};
  }

  Status sync() override {
    // Not repeated, whatever the reason: the kernel may have forgotten what it could not write.
    if (::fdatasync(fd_.get()) != 0) return system_failure("sync", path_, errno);
    return {};
  }

  Status truncate(std::uint64_t size) override {
    if (repeat_when_interrupted([&] { return ::ftruncate(fd_.get(), static_cast<off_t>(size)); }) !=
        0) {
      return system_failure("truncate", path_, errno);
    }
    size_ = size;
    return {};
  }

  std::uint64_t size() const noexcept override { return size_; }

 private:
  const UniqueFd fd_;  // appends, wherever the file ends
  const std::string path_;
  std::uint64_t size_;
};

class PosixReadableFile final : public ReadableFile {
 public:
  PosixReadableFile(UniqueFd fd, std::string path, std::uint64_t size)
      : ReadableFile(std::move(path), size), fd_(std::move(fd)) {}

  int try_read(std::uint64_t offset, std::span<std::byte> bytes) const noexcept override {
    while (!bytes.empty()) {
      const ssize_t count = repeat_when_interrupted([&] {
        return ::pread(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
      });
      if (count <= 0) return count < 0 ? errno : ENODATA;
      offset += static_cast<std::uint64_t>(count);
      bytes = bytes.subspan(static_cast<std::size_t>(count));
    }
    return 0;
  }

  void forget_cached() const noexcept override {
    [[maybe_unused]] const int outcome = ::posix_fadvise(fd_.get(), 0, 0, POSIX_FADV_DONTNEED);
  }

  void will_read(std::uint64_t offset, std::uint64_t bytes) const noexcept override {
    [[maybe_unused]] const int outcome = ::posix_fadvise(
        fd_.get(), static_cast<off_t>(offset), static_cast<off_t>(bytes), POSIX_FADV_WILLNEED);
  }

  Status place(std::uint64_t offset, std::size_t length, std::byte* address) const override {
    if (offset > size() || length > size() - offset) {
      return fail(ErrorCode::kIo, "cannot map " + path() + ": it ends before what was asked for");
    }
    if (length == 0) return {};
    void* const placed = ::mmap(address, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED,
                                fd_.get(), static_cast<off_t>(offset));
    if (placed == MAP_FAILED) return system_failure("map", path(), errno);
    return {};
  }

 private:
  const UniqueFd fd_;
};

class PosixUnnamedFile final : public UnnamedFile {
 public:
  PosixUnnamedFile(UniqueFd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

  Status extend(std::byte* address, std::size_t bytes) override {
    const int error = extend_and_map(address, bytes);
    if (error == 0) {
      size_ += bytes;
      return {};
    }
    // A part of what was asked for may have been allocated, which others need.
    [[maybe_unused]] const int cut = ::ftruncate(fd_.get(), static_cast<off_t>(size_));
    return system_failure("extend", path_, error);
  }

 private:
  /// Returns 0, or the system's number of the error; the memory at `address` is as it was then.
  int extend_and_map(std::byte* address, std::size_t bytes) const {
    const auto begin = static_cast<off_t>(size_);
    // Room that is missing is an error here, and would be a SIGBUS at the first touch.
    int error = EINTR;
    while (error == EINTR) {
      error = ::posix_fallocate(fd_.get(), begin, static_cast<off_t>(bytes));
    }
    if (error != 0) return error;
    // Mapped elsewhere first: MAP_FIXED that fails would leave a hole in what was reserved.
    void* const mapped =
        ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd_.get(), begin);
    if (mapped == MAP_FAILED) return errno;
    if (::mremap(mapped, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, address) != MAP_FAILED) {
      return 0;
    }
    const int moved = errno;
    ::munmap(mapped, bytes);
    return moved;
  }

  const UniqueFd fd_;
  const std::string path_;
  std::uint64_t size_ = 0;
};

class PosixDirectoryLock final : public DirectoryLock {
 public:
  explicit PosixDirectoryLock(UniqueFd fd) : fd_(std::move(fd)) {}
  /// Also where a process that was forked has the descriptor, too.
  ~PosixDirectoryLock() override { ::flock(fd_.get(), LOCK_UN); }

 private:
  const UniqueFd fd_;
};

/// What the holder of a lock wrote into it.
std::string read_owner(int fd) {
  std::array<char, 32> text{};
  const ssize_t count = ::pread(fd, text.data(), text.size(), 0);
  const std::string_view read(text.data(), static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
  return std::string(read.substr(0, read.find('\n')));
}

class PosixFileSystem final : public FileSystem {
 public:
  Result<std::unique_ptr<WritableFile>> create(const std::string& path) override {
    UniqueFd fd = open_file(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND);
    if (!fd.valid()) return system_failure("create", path, errno);
    return std::make_unique<PosixWritableFile>(std::move(fd), path, 0);
  }

  Result<std::unique_ptr<WritableFile>> open_for_append(const std::string& path) override {
    UniqueFd fd = open_file(path, O_WRONLY | O_APPEND);
    if (!fd.valid()) return system_failure("open", path, errno);
    const auto size = size_of(fd.get(), path);
    if (!size) return tl::unexpected(size.error());
    return std::make_unique<PosixWritableFile>(std::move(fd), path, *size);
  }

  Result<std::unique_ptr<ReadableFile>> open_for_reading(const std::string& path) override {
    UniqueFd fd = open_file(path, O_RDONLY);
    if (!fd.valid()) return system_failure("open", path, errno);
    const auto size = size_of(fd.get(), path);
    if (!size) return tl::unexpected(size.error());
    return std::make_unique<PosixReadableFile>(std::move(fd), path, *size);
  }

  Result<std::unique_ptr<UnnamedFile>> create_unnamed(const std::string& directory) override {
    std::string path = directory + "/rows";
    UniqueFd fd = open_file(directory, O_RDWR | O_TMPFILE);
    if (!fd.valid()) {  // not every file system has such files
      path += ".XXXXXX";
      fd = UniqueFd(::mkostemp(path.data(), O_CLOEXEC));
      if (!fd.valid()) return system_failure("create", path, errno);
      ::unlink(path.c_str());
    }
    return std::make_unique<PosixUnnamedFile>(std::move(fd), std::move(path));
  }

  Status rename(const std::string& from, const std::string& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0) return system_failure("rename", from, errno);
    return {};
  }

  Status link(const std::string& from, const std::string& to) override {
    if (::link(from.c_str(), to.c_str()) == 0) return {};
    if (errno != EPERM && errno != EOPNOTSUPP) return system_failure("link", from, errno);
    return FileSystem::link(from, to);
  }

  Status remove(const std::string& path) override {
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
      return system_failure("remove", path, errno);
    }
    return {};
  }

  Result<std::vector<std::string>> list(const std::string& directory) override {
    const std::unique_ptr<DIR, int (*)(DIR*)> entries(::opendir(directory.c_str()), ::closedir);
    if (entries == nullptr) return system_failure("list", directory, errno);
    std::vector<std::string> names;
    for (;;) {
      errno = 0;
      const dirent* const entry = ::readdir(entries.get());
      if (entry == nullptr) break;
      struct stat status {};
      if (::fstatat(::dirfd(entries.get()), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
          S_ISREG(status.st_mode)) {
        names.emplace_back(entry->d_name);
      }
    }
    if (errno != 0) return system_failure("list", directory, errno);
    std::sort(names.begin(), names.end());
    return names;
  }

  Status sync_directory(const std::string& directory) override {
    const UniqueFd fd = open_file(directory, O_RDONLY | O_DIRECTORY);
    if (!fd.valid()) return system_failure("open", directory, errno);
    if (::fsync(fd.get()) != 0) return system_failure("sync", directory, errno);
    return {};
  }

  Result<std::unique_ptr<DirectoryLock>> lock(const std::string& path) override {
    UniqueFd fd = open_file(path, O_RDWR | O_CREAT);
    if (!fd.valid()) return system_failure("open", path, errno);
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK) return system_failure("lock", path, errno);
      return fail(ErrorCode::kAlreadyExists,
                  path + " is locked by another process (" + read_owner(fd.get()) + ")");
    }
    const std::string owner = "pid " + std::to_string(::getpid()) + "\n";
    // For people only: a full disk must not keep a server from starting.
    if (::ftruncate(fd.get(), 0) == 0) {
      [[maybe_unused]] const ssize_t written = ::pwrite(fd.get(), owner.data(), owner.size(), 0);
    }
    return std::make_unique<PosixDirectoryLock>(std::move(fd));
  }
};

}  // namespace

Status FileSystem::link(const std::string& from, const std::string&) {
  return fail(ErrorCode::kUnsupported, "cannot link " + from + ": files have one name here");
}

Result<std::unique_ptr<UnnamedFile>> FileSystem::create_unnamed(const std::string& directory) {
  return fail(ErrorCode::kUnsupported,
              "cannot create a file without a name in " + directory + ": files have one here");
}

Status ReadableFile::read(std::uint64_t offset, std::span<std::byte> bytes) const {
  const int error = try_read(offset, bytes);
  if (error == 0) return {};
  if (error != ENODATA)
    return fail(ErrorCode::kIo, "cannot read " + path_ + ": " + std::strerror(error));
  return fail(ErrorCode::kIo, "cannot read " + path_ + ": it ends before byte " +
                                  std::to_string(offset + bytes.size()));
}

Result<FileContent> FileContent::read(const ReadableFile& file) {
  FileContent content;
  if (file.size() == 0) return content;
  auto memory = MappedMemory::map(file.size(), MappedMemory::Access::kReadWrite);
  if (!memory) return tl::unexpected(std::move(memory.error()));
  ENGRAM_TRY(file.read(0, {memory->data(), file.size()}));
  content.memory_ = std::move(*memory);
  content.size_ = file.size();
  return content;
}

FileSystem& posix_file_system() {
  static PosixFileSystem instance;
  return instance;
}

}  // namespace engram
