// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "core/result.h"
#include "server/net/unique_fd.h"

namespace engram {

/// A file that is there when it is whole: until then it is written beside its name, into a file
/// that nobody else has made. Errors: kIo, kNoSpace.
class OutputFile {
 public:
  static Result<OutputFile> create(const std::string& path);
  OutputFile(OutputFile&& other) noexcept;
  OutputFile& operator=(OutputFile&&) = delete;
  /// Removes it unless finish() has succeeded.
  ~OutputFile();

  Status write(std::string_view bytes);
  /// Over what was written at the begin, where as many bytes are.
  Status rewrite_begin(std::string_view bytes);
  /// On disk, and under its name.
  Status finish();

  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  /// Where it is until finish().
  [[nodiscard]] const std::string& temporary_path() const noexcept { return temporary_; }

 private:
  OutputFile(std::string path, std::string temporary, UniqueFd fd)
      : path_(std::move(path)), temporary_(std::move(temporary)), fd_(std::move(fd)) {}
  Status flush();
  [[nodiscard]] tl::unexpected<Error> failed(const char* what) const;

  std::string path_;
  std::string temporary_;  // empty: it has its name, or is gone
  UniqueFd fd_;
  std::string buffer_;
};

}  // namespace engram
