// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "core/growing_array.h"
#include "core/result.h"

namespace engram {

/// Byte strings, each by a code: from 0 on, in the order in which they came. None is let go of
/// before all are.
///
/// Threads: text() any that has learnt the code through a synchronising operation; find(), size()
/// and memory_bytes() any; add() one at a time.
class Dictionary {
 public:
  Dictionary();
  ~Dictionary();
  Dictionary(const Dictionary&) = delete;
  Dictionary& operator=(const Dictionary&) = delete;

  /// The code of `text`, which is made if there is none. Errors: kResourceExhausted.
  Result<std::uint32_t> add(std::string_view text);

  [[nodiscard]] std::optional<std::uint32_t> find(std::string_view text) const;

  /// 8-byte aligned.
  [[nodiscard]] std::string_view text(std::uint32_t code) const noexcept {
    const Entry& entry = entries_[code];
    return {entry.text, entry.bytes};
  }

  [[nodiscard]] std::uint32_t size() const noexcept {
    return size_.load(std::memory_order_acquire);
  }
  [[nodiscard]] std::size_t memory_bytes() const noexcept {
    return bytes_.load(std::memory_order_relaxed);
  }

 private:
  struct Entry {
    const char* text;
    std::size_t bytes;
  };
  struct Codes;

  const char* keep(std::string_view text);

  GrowingArray<Entry> entries_;
  std::atomic<std::uint32_t> size_{0};
  std::atomic<std::size_t> bytes_{0};
  std::vector<std::unique_ptr<std::uint64_t[]>> blocks_;
  std::size_t block_words_ = 0;  // of the last
  std::size_t words_left_ = 0;   // in it
  const std::unique_ptr<Codes> codes_;
};

}  // namespace engram
