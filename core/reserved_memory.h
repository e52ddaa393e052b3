// SPDX-License-Identifier: Apache-2.0
// Pages straight from the system, and memory of a fixed size.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>
#include <utility>

#include "core/aligned_buffer.h"
#include "core/result.h"
#include "core/row_pages.h"
#include "core/sections.h"

namespace engram {

/// The unit in which memory is mapped and sections are placed.
inline constexpr std::size_t kPageBytes = 4096;

/// What the processor can map with one entry of its TLB, on x86-64 and most of ARM.
inline constexpr std::size_t kHugePage = std::size_t{2} << 20;

/// Bytes of all MappedMemory of this process that may be read and written, used or not, and are not
/// of a file. Any thread.
std::size_t mapped_bytes() noexcept;

/// Has `observe` called with each change of mapped_bytes(), by whichever thread makes it: for a
/// process that keeps count of its memory by itself. To be called once, before there are threads.
using MappedBytesObserver = void (*)(std::ptrdiff_t change);
void observe_mapped_bytes(MappedBytesObserver observe) noexcept;

/// Pages taken straight from the kernel: zeroed, never moved, given back on destruction.
class MappedMemory {
 public:
  enum class Access { kNone, kReadWrite };

  /// Maps `bytes` of address space aligned to a huge page when it is at least as large as one.
  /// Errors: kResourceExhausted with the system's reason.
  static Result<MappedMemory> map(std::size_t bytes, Access access);

  /// Address space of which `pages`, which outlives it, gives what is committed: from `offset` on,
  /// see RowPages::extend.
  static Result<MappedMemory> map_file(std::size_t bytes, RowPages& pages, std::size_t offset);

  MappedMemory() = default;
  MappedMemory(MappedMemory&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)),
        committed_(std::exchange(other.committed_, 0)),
        pages_(std::exchange(other.pages_, nullptr)),
        offset_(std::exchange(other.offset_, 0)),
        placement_(std::move(other.placement_)) {}
  MappedMemory& operator=(MappedMemory&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(committed_, other.committed_);
    std::swap(pages_, other.pages_);
    std::swap(offset_, other.offset_);
    std::swap(placement_, other.placement_);
    return *this;
  }
  ~MappedMemory();

  std::byte* data() const noexcept { return data_; }
  std::size_t size() const noexcept { return size_; }

  /// Makes the first `bytes` readable and writable. Errors: kResourceExhausted; those of
  /// RowPages::extend.
  Status commit(std::size_t bytes);

  /// Puts the section `name` at the start, see SectionReader::place, and makes it readable and
  /// writable. It must fit. Errors: those of place() and commit().
  Status place(SectionReader& reader, std::string_view name);

  /// What place() was given; null: nothing, or nothing that may have to be verified.
  Placement* placement() const noexcept { return placement_.get(); }

  /// Asks for huge pages: graph search touches rows at random, and a TLB miss costs as much as a
  /// cache miss. A refusal by the system changes nothing but speed. What was placed keeps its own
  /// pages.
  void prefer_huge_pages() noexcept;

 private:
  MappedMemory(std::byte* data, std::size_t size) : data_(data), size_(size) {}
  Status open(std::size_t end);
  void count_committed(std::size_t bytes) noexcept;

  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t committed_ = 0;  // readable and writable, from the start
  RowPages* pages_ = nullptr;  // null: of no file
  std::size_t offset_ = 0;     // of pages_, where this begins
  std::unique_ptr<Placement> placement_;
};

/// Zeroed bytes of a size that does not change, 64-byte aligned: of the heap if they are few, else
/// pages of their own. So small indexes hold no mappings, of which a process may have 65,530.
class FixedMemory {
 public:
  /// Errors: kResourceExhausted.
  static Result<FixedMemory> allocate(std::size_t bytes);

  FixedMemory() = default;

  std::byte* data() const noexcept { return heap_ != nullptr ? heap_.get() : pages_.data(); }
  std::size_t size() const noexcept { return size_; }

  /// Takes the bytes of the section `name`: places them, see SectionReader::place, or copies them
  /// if they are few. Errors: kDataLoss unless it has size() bytes; those of the reader.
  Status fill(SectionReader& reader, std::string_view name);

  /// See MappedMemory::prefer_huge_pages.
  void prefer_huge_pages() noexcept {
    if (size_ >= kHugePage) pages_.prefer_huge_pages();
  }

 private:
  static constexpr std::size_t kLargestOnHeap = std::size_t{256} << 10;

  std::unique_ptr<std::byte, FreeAligned> heap_;
  MappedMemory pages_;
  std::size_t size_ = 0;
};

}  // namespace engram
