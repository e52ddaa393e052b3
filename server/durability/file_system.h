// SPDX-License-Identifier: Apache-2.0
// Every touch of the disk by the journal and the snapshots passes here, so that tests can put a
// disk underneath that fails, forgets what was not synced, or stops the world at its n-th
// operation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/reserved_memory.h"
#include "core/result.h"

namespace engram {

/// A file that is written from its start to its end. One thread at a time.
///
/// Errors of all members: kNoSpace if the disk is full (or a quota reached), which may pass; kIo
/// otherwise. The message carries the file's name and the system's reason.
class WritableFile {
 public:
  virtual ~WritableFile() = default;  // closes

  /// Adds all of `bytes` at the end. On failure any prefix of them may have been added.
  virtual Status append(std::span<const std::byte> bytes) = 0;

  /// Returns when all that was appended, and the file's size, is on the disk (fdatasync). After a
  /// failure nobody knows what is: the file must not be trusted, nor synced again.
  virtual Status sync() = 0;

  /// Cuts the file to `size` bytes, at most those it has; the next append() continues there.
  virtual Status truncate(std::uint64_t size) = 0;

  /// Bytes in the file, a failed append's included.
  [[nodiscard]] virtual std::uint64_t size() const noexcept = 0;
};

/// A file that is open for reading. Any thread.
class ReadableFile {
 public:
  ReadableFile(std::string path, std::uint64_t size) : path_(std::move(path)), size_(size) {}
  virtual ~ReadableFile() = default;  // what was placed stays
  ReadableFile(const ReadableFile&) = delete;
  ReadableFile& operator=(const ReadableFile&) = delete;

  [[nodiscard]] const std::string& path() const noexcept { return path_; }

  /// Bytes it had when it was opened. It may have become shorter since.
  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }

  /// Fills `bytes` with those from `offset` on. Errors: kIo.
  [[nodiscard]] Status read(std::uint64_t offset, std::span<std::byte> bytes) const;

  /// As read(), for signal handlers: returns 0 or the system's number of the error; ENODATA if the
  /// file ends before.
  [[nodiscard]] virtual int try_read(std::uint64_t offset,
                                     std::span<std::byte> bytes) const noexcept = 0;

  /// Has the system read it from the disk when it is read next, as far as it can.
  virtual void forget_cached() const noexcept {}

  /// Has the system begin to read `bytes` from `offset` on, which will soon be asked for; does not
  /// wait. May be called in signal handlers.
  virtual void will_read(std::uint64_t /*offset*/, std::uint64_t /*bytes*/) const noexcept {}

  /// Maps bytes [offset, offset + length) at `address`, privately: they may be changed there,
  /// which does not change the file. `offset` and `address` are multiples of a page; the memory was
  /// committed by the caller. What lies beyond in the last page is as in the file. Touching a page
  /// that the file has not, or cannot give, is a SIGBUS: see verified_pages.h.
  virtual Status place(std::uint64_t offset, std::size_t length, std::byte* address) const = 0;

 private:
  const std::string path_;
  const std::uint64_t size_;
};

/// A file without a name, which ends with this or with the process. One thread at a time.
class UnnamedFile {
 public:
  virtual ~UnnamedFile() = default;  // what was mapped stays

  /// Makes the file `bytes` longer, has the disk find room for them, and maps them at `address`,
  /// shared; they are zeros. Both are multiples of a page. Errors: kNoSpace, kIo.
  virtual Status extend(std::byte* address, std::size_t bytes) = 0;
};

/// The whole content of a file.
class FileContent {
 public:
  /// Errors: kIo; kResourceExhausted.
  static Result<FileContent> read(const ReadableFile& file);

  [[nodiscard]] std::span<const std::byte> bytes() const noexcept {
    return {memory_.data(), size_};
  }

 private:
  MappedMemory memory_;
  std::size_t size_ = 0;
};

/// A lock on a directory, held until destruction or the end of the process.
class DirectoryLock {
 public:
  virtual ~DirectoryLock() = default;
};

/// Any thread.
class FileSystem {
 public:
  virtual ~FileSystem() = default;

  /// Creates a file, empty if it existed.
  virtual Result<std::unique_ptr<WritableFile>> create(const std::string& path) = 0;

  /// Opens an existing file to append to it, or to truncate it.
  virtual Result<std::unique_ptr<WritableFile>> open_for_append(const std::string& path) = 0;

  /// Errors: kNotFound, kIo.
  virtual Result<std::unique_ptr<ReadableFile>> open_for_reading(const std::string& path) = 0;

  /// Gives a file another name in the same directory, replacing what had it.
  virtual Status rename(const std::string& from, const std::string& to) = 0;

  /// Gives a file another name in the same directory, which nothing has, beside its own. Errors:
  /// kUnsupported where files have one name only.
  virtual Status link(const std::string& from, const std::string& to);

  /// Creates a file that has no name in `directory`. Errors: kUnsupported where there are none;
  /// kNoSpace, kIo.
  virtual Result<std::unique_ptr<UnnamedFile>> create_unnamed(const std::string& directory);

  /// A file that does not exist counts as removed.
  virtual Status remove(const std::string& path) = 0;

  /// The names of the regular files in a directory, in order.
  virtual Result<std::vector<std::string>> list(const std::string& directory) = 0;

  /// Returns when what was created, renamed and removed in `directory` is on the disk.
  virtual Status sync_directory(const std::string& directory) = 0;

  /// Errors: kAlreadyExists if another process, or another lock of this one, holds it.
  virtual Result<std::unique_ptr<DirectoryLock>> lock(const std::string& path) = 0;
};

/// The one of the operating system.
FileSystem& posix_file_system();

}  // namespace engram
