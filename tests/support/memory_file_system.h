// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cerrno>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "server/durability/file_system.h"

namespace engram::test {

/// Files in memory, by path, for readers only: nothing can be written.
class MemoryFileSystem final : public FileSystem {
 public:
  explicit MemoryFileSystem(std::map<std::string, std::string> files) : files_(std::move(files)) {}

  Result<std::unique_ptr<ReadableFile>> open_for_reading(const std::string& path) override {
    const auto found = files_.find(path);
    if (found == files_.end()) return fail(ErrorCode::kNotFound, "there is no " + path);
    return std::make_unique<File>(path, found->second);
  }

  Result<std::vector<std::string>> list(const std::string&) override {
    std::vector<std::string> names;
    for (const auto& [path, content] : files_) names.push_back(path.substr(path.rfind('/') + 1));
    return names;
  }

  Result<std::unique_ptr<DirectoryLock>> lock(const std::string&) override {
    return std::make_unique<DirectoryLock>();
  }

  Result<std::unique_ptr<WritableFile>> create(const std::string&) override { return refused(); }
  Result<std::unique_ptr<WritableFile>> open_for_append(const std::string&) override {
    return refused();
  }
  Status rename(const std::string&, const std::string&) override { return refused(); }
  Status remove(const std::string&) override { return {}; }
  Status sync_directory(const std::string&) override { return refused(); }

 private:
  class File final : public ReadableFile {
   public:
    File(std::string path, const std::string& content)
        : ReadableFile(std::move(path), content.size()), content_(content) {}
    int try_read(std::uint64_t offset, std::span<std::byte> bytes) const noexcept override {
      if (offset > content_.size() || bytes.size() > content_.size() - offset) return ENODATA;
      std::copy_n(content_.data() + offset, bytes.size(), reinterpret_cast<char*>(bytes.data()));
      return 0;
    }
    Status place(std::uint64_t offset, std::size_t length, std::byte* address) const override {
      std::copy_n(content_.data() + offset, length, reinterpret_cast<char*>(address));
      return {};
    }

   private:
    const std::string& content_;
  };

  static tl::unexpected<Error> refused() {
    return fail(ErrorCode::kIo, "these files are read-only");
  }

  const std::map<std::string, std::string> files_;
};

}  // namespace engram::test
