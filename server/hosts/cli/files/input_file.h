// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/result.h"
#include "server/net/unique_fd.h"

namespace engram {

/// Whether a file can be opened to be read, without opening it: what a pipe holds is there once.
/// Errors: kIo.
Status check_readable(const std::string& path);

/// A file that is read once, from its begin to its end, through a buffer. Errors: kIo.
class InputFile {
 public:
  static Result<InputFile> open(const std::string& path);

  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  /// 0 if it is a pipe, or the like.
  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }
  [[nodiscard]] bool is_regular() const noexcept { return is_regular_; }
  /// How many bytes were read.
  [[nodiscard]] std::uint64_t position() const noexcept { return position_; }
  [[nodiscard]] double progress() const noexcept {
    return size_ == 0 ? 0 : static_cast<double>(position_) / static_cast<double>(size_);
  }

  /// Fills `room`, or as much of it as there is up to the end. Returns how much.
  Result<std::size_t> read(std::span<std::byte> room);
  /// The same, and it is read again. For no more than the first 4 KiB, before anything is read.
  Result<std::size_t> peek(std::span<std::byte> room);
  /// Reads up to a line break, which is dropped. False: there is nothing more. A last line needs no
  /// break. Errors: also kDataLoss if the line has more than `most` bytes.
  Result<bool> read_line(std::string& line, std::size_t most);

 private:
  InputFile(std::string path, UniqueFd fd) : path_(std::move(path)), fd_(std::move(fd)) {}
  Status refill();

  std::string path_;
  UniqueFd fd_;
  std::uint64_t size_ = 0;
  bool is_regular_ = false;
  std::uint64_t position_ = 0;
  std::vector<char> buffer_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

}  // namespace engram
