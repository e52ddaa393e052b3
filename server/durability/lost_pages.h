// SPDX-License-Identifier: Apache-2.0
// Memory in files that may become unreadable under us: pages that the disk cannot give, or that the
// file has no more. Such a page reads as zeros, and whoever asks is told.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>

namespace engram {

/// Threads: any; add() and remove() one at a time for one range of memory.
class LostPages {
 public:
  LostPages();
  /// Nobody touches the memory any more.
  ~LostPages();
  LostPages(const LostPages&) = delete;
  LostPages& operator=(const LostPages&) = delete;

  /// Watches memory, readable and writable, which begins and ends with a page.
  void add(std::byte* address, std::size_t bytes);
  /// All that was added there; nobody touches it any more.
  void remove(std::byte* address, std::size_t bytes) noexcept;

  /// Whether a page could not be had, since this was made.
  [[nodiscard]] bool any() const noexcept { return is_any_.load(std::memory_order_relaxed); }

 private:
  class Part;

  std::atomic<bool> is_any_ = false;
  std::mutex mutex_;                                       // guards what follows; not the handler's
  std::map<std::uintptr_t, std::unique_ptr<Part>> parts_;  // by their begin
};

}  // namespace engram
