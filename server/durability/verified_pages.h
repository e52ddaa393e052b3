// SPDX-License-Identifier: Apache-2.0
// Pages of a snapshot that are verified when they are first touched.
//
// A placed section is mapped, and its pages are closed (PROT_NONE). Touching one is a SIGSEGV,
// whose handler compares the page's block with its checksum and opens it; the load goes on as if
// nothing had happened. Nobody can read what nobody has verified, whichever way a search, a recall
// or a scan takes to it, and once all is open nothing is left that could cost time. A page that the
// disk cannot give any more is a SIGBUS. What is damaged, or cannot be read, becomes zeros: the
// section's Soundness is condemned before the load goes on, and who answers asks it.
//
// The handler (page_faults.h) reads the file and calls mmap() or mprotect(); it allocates nothing.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "core/result.h"
#include "server/durability/page_faults.h"
#include "server/durability/soundness.h"

namespace engram {

/// Whether who verifies a section waits, for a moment, while others touch blocks of any.
enum class Haste : std::uint8_t { kNone, kGreat };

/// Threads: any.
class VerifiedPages final : public FaultTaker {
 public:
  /// Closes the pages at `address`, where `entry` of `source` has been placed. detach() is called
  /// before the memory is given up. Errors: kResourceExhausted.
  static Result<std::shared_ptr<VerifiedPages>> close(std::shared_ptr<const SnapshotSource> source,
                                                      const SnapshotEntry& entry,
                                                      std::byte* address,
                                                      std::shared_ptr<Soundness> soundness);

  /// Verifies and opens all that is closed. Returns 0, or the first outcome of check_block() that
  /// is not; ends early when `cancelled`, or detached.
  int open_all(Haste haste, const std::atomic<bool>& cancelled);

  /// See Placement::fetch.
  bool fetch(std::span<const std::byte* const> rows, std::size_t row_bytes) noexcept;

  /// Nobody touches the memory any more.
  void detach();

  bool contains(std::uintptr_t address) const noexcept override {
    return address - begin_ < bytes_;
  }
  bool take_fault(std::uintptr_t address, bool is_lost) noexcept override;

 private:
  struct Blocks {
    std::size_t begin;
    std::size_t end;
  };

  VerifiedPages(std::shared_ptr<const SnapshotSource> source, const SnapshotEntry& entry,
                std::byte* address, std::shared_ptr<Soundness> soundness);

  void request(std::size_t block) noexcept;
  void touch(std::uintptr_t address, bool is_lost) noexcept;
  [[nodiscard]] Blocks blocks_around(std::size_t block) noexcept;
  [[nodiscard]] int verify(Blocks blocks) const noexcept;
  [[nodiscard]] bool open(Blocks blocks) noexcept;
  void condemn(int outcome) noexcept;
  void forget_touched() noexcept;

  const std::shared_ptr<const SnapshotSource> source_;
  const SnapshotEntry& entry_;
  const std::uintptr_t begin_;
  const std::size_t bytes_;
  const std::shared_ptr<Soundness> soundness_;
  std::vector<std::atomic<bool>> is_open_;       // by block
  std::vector<std::atomic<bool>> is_requested_;  // the same: whether the system has been told
  std::atomic<bool> is_all_open_ = false;
  std::atomic<std::size_t> touched_ = 0;  // spans that the handler has opened
  std::atomic<int> outcome_ = 0;          // of the block that condemned all
  std::mutex mutex_;                      // guards is_attached_; not the handler's
  bool is_attached_ = true;
};

}  // namespace engram
