// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace engram {

/// Error replies by their first word. Threads: one.
class ErrorCounts {
 public:
  /// "-WRONGTYPE Operation ..." counts for WRONGTYPE. Of words there are few: past kMost, and
  /// kMostBytes long, others are not told apart.
  void add(std::string_view reply) {
    if (reply.starts_with('-')) reply.remove_prefix(1);
    std::string_view word = reply.substr(0, reply.find_first_of(" \r\n"));
    if (word.empty() || word.size() > kMostBytes) word = kOther;
    const auto found = counts_.find(word);
    if (found != counts_.end()) {
      ++found->second;
    } else {
      ++counts_[std::string(counts_.size() < kMost ? word : kOther)];
    }
  }

  void reset() noexcept { counts_.clear(); }

  /// By word, in order.
  [[nodiscard]] const std::map<std::string, std::uint64_t, std::less<>>& counts() const noexcept {
    return counts_;
  }

 private:
  static constexpr std::size_t kMost = 128;
  static constexpr std::size_t kMostBytes = 32;
  static constexpr std::string_view kOther = "OTHER";

  std::map<std::string, std::uint64_t, std::less<>> counts_;
};

}  // namespace engram
