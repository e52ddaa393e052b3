// SPDX-License-Identifier: Apache-2.0
// Rows that need not stay in memory.
#pragma once

#include <cstddef>
#include <string_view>

#include "core/result.h"

namespace engram {

/// Where an index keeps its rows.
enum class RowsPlace {
  kMemory,
  kDisk,  ///< in a file behind the memory: the system drops pages of it and reads them again
  kFile,  ///< in a file of somebody else, as far as they are what it has: see RowPages::has_rows
};

inline constexpr std::string_view kRowsPlaceNames[] = {"memory", "disk", "file"};  // in that order

constexpr std::string_view rows_place_name(RowsPlace place) noexcept {
  return kRowsPlaceNames[static_cast<std::size_t>(place)];
}

/// A file of somebody else: raw float32 rows from byte `begin` on, and nothing after them.
struct FileOfRows {
  std::string_view path;
  std::size_t begin = 0;
};

/// Pages of a file, mapped where rows are to lie. Written to them, rows are on the disk as soon as
/// the system needs their memory. They are no part of what is durable: the file ends with this.
/// Or pages of a file of somebody else, which is read only, and has rows already: see has_rows().
///
/// Threads: several, but one at a time for one range of memory.
class RowPages {
 public:
  RowPages() = default;
  virtual ~RowPages() = default;
  RowPages(const RowPages&) = delete;
  RowPages& operator=(const RowPages&) = delete;

  /// Replaces `bytes` of reserved memory at `address`, both multiples of a page, by pages that are
  /// zero or of the file, readable and writable, and for which the disk has room. offset: in
  /// the file, from the page in which slot 0 begins; a multiple of a page. Errors: kNoSpace, kIo,
  /// kResourceExhausted.
  virtual Status extend(std::byte* address, std::size_t bytes, std::size_t offset) = 0;

  /// Whether extend() gives rows that a file has, in the order of slots. What is written to them
  /// stays in memory: in that of `address`, even if a page is asked for at two addresses.
  [[nodiscard]] virtual bool has_rows() const noexcept { return false; }

  /// Bytes before slot 0 in its page, less than a page and a multiple of 4: what a file has before
  /// its rows. 0 unless has_rows().
  [[nodiscard]] virtual std::size_t lead() const noexcept { return 0; }

  /// Tells the system how memory will be read that a file was placed in by other means.
  virtual void advise(std::byte* address, std::size_t bytes) noexcept = 0;

  /// Memory that is about to be given back.
  virtual void withdraw(std::byte* address, std::size_t bytes) noexcept = 0;

  /// Errors: kDataLoss once a page could not be read back. It reads as zeros; to be asked after
  /// rows were used, and before anything that depends on them is answered or kept. Any thread.
  [[nodiscard]] virtual Status check() const = 0;
};

}  // namespace engram
