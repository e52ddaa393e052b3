// SPDX-License-Identifier: Apache-2.0
// A directory's files as values, to be put back or changed.
#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>

namespace engram::test {

using Files = std::map<std::string, std::string>;  // content by name

inline Files read_files(const std::string& directory) {
  Files files;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    std::ifstream in(entry.path(), std::ios::binary);
    files[entry.path().filename()].assign(std::istreambuf_iterator<char>(in), {});
  }
  return files;
}

/// Leaves nothing else in the directory.
inline void write_files(const std::string& directory, const Files& files) {
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    std::filesystem::remove(entry.path());
  }
  for (const auto& [name, content] : files) {
    std::ofstream(directory + "/" + name, std::ios::binary) << content;
  }
}

}  // namespace engram::test
