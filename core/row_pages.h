// SPDX-License-Identifier: Apache-2.0
// Rows that need not stay in memory.
#pragma once

#include <cstddef>

#include "core/result.h"

namespace engram {

/// Where an index keeps its rows.
enum class RowsPlace {
  kMemory,
  kDisk,  ///< in a file behind the memory: the system drops pages of it and reads them again
};

/// Pages of a file, mapped where rows are to lie. Written to them, rows are on the disk as soon as
/// the system needs their memory. They are no part of what is durable: the file ends with this.
///
/// Threads: several, but one at a time for one range of memory.
class RowPages {
 public:
  RowPages() = default;
  virtual ~RowPages() = default;
  RowPages(const RowPages&) = delete;
  RowPages& operator=(const RowPages&) = delete;

  /// Replaces `bytes` of reserved memory at `address`, both multiples of a page, by pages that are
  /// zero, readable and writable, and for which the disk has room. Errors: kNoSpace, kIo,
  /// kResourceExhausted.
  virtual Status extend(std::byte* address, std::size_t bytes) = 0;

  /// Tells the system how memory will be read that a file was placed in by other means.
  virtual void advise(std::byte* address, std::size_t bytes) noexcept = 0;

  /// Memory that is about to be given back.
  virtual void withdraw(std::byte* address, std::size_t bytes) noexcept = 0;

  /// Errors: kDataLoss once a page could not be read back. It reads as zeros; to be asked after
  /// rows were used, and before anything that depends on them is answered or kept. Any thread.
  [[nodiscard]] virtual Status check() const = 0;
};

}  // namespace engram
