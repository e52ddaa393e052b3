// SPDX-License-Identifier: Apache-2.0
// Memory that grows without moving: address space is reserved at once, pages are committed as they
// are needed. This is what lets readers walk an array, lock-free, while a writer extends it.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "core/aligned_buffer.h"
#include "core/assert.h"
#include "core/result.h"
#include "core/sections.h"

namespace engram {

/// The unit in which memory is mapped and sections are placed.
inline constexpr std::size_t kPageBytes = 4096;

/// What the processor can map with one entry of its TLB, on x86-64 and most of ARM.
inline constexpr std::size_t kHugePage = std::size_t{2} << 20;

/// Bytes of all MappedMemory of this process that may be read and written, used or not. Any thread.
std::size_t mapped_bytes() noexcept;

/// Pages taken straight from the kernel: zeroed, never moved, given back on destruction.
class MappedMemory {
 public:
  enum class Access { kNone, kReadWrite };

  /// Maps `bytes` of address space aligned to a huge page when it is at least as large as one.
  /// Errors: kResourceExhausted with the system's reason.
  static Result<MappedMemory> map(std::size_t bytes, Access access);

  MappedMemory() = default;
  MappedMemory(MappedMemory&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)),
        committed_(std::exchange(other.committed_, 0)),
        placement_(std::move(other.placement_)) {}
  MappedMemory& operator=(MappedMemory&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(committed_, other.committed_);
    std::swap(placement_, other.placement_);
    return *this;
  }
  ~MappedMemory();

  std::byte* data() const noexcept { return data_; }
  std::size_t size() const noexcept { return size_; }

  /// Makes the first `bytes` readable and writable. Errors: kResourceExhausted.
  Status commit(std::size_t bytes);

  /// Puts the section `name` at the start, see SectionReader::place, and makes it readable and
  /// writable. It must fit. Errors: those of place() and commit().
  Status place(SectionReader& reader, std::string_view name);

  /// Asks for huge pages: graph search touches rows at random, and a TLB miss costs as much as a
  /// cache miss. A refusal by the system changes nothing but speed. What was placed keeps its own
  /// pages.
  void prefer_huge_pages() noexcept;

 private:
  MappedMemory(std::byte* data, std::size_t size) : data_(data), size_(size) {}
  void count_committed(std::size_t bytes) noexcept;

  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t committed_ = 0;  // readable and writable, from the start
  std::unique_ptr<Placement> placement_;
};

/// An array of up to `capacity` T, zero-initialised, whose elements never move.
///
/// Threads: ensure() may be called by several threads at once. An element may be used by any thread
/// that has learnt, through a synchronising operation, that an ensure() covering it has returned.
template <class T>
class ReservedArray {
  static_assert(std::is_trivially_destructible_v<T>, "pages are given back without destructors");

 public:
  /// Reserves address space only. Errors: kResourceExhausted.
  Status reserve(std::size_t capacity) {
    auto memory = MappedMemory::map(capacity * sizeof(T), MappedMemory::Access::kNone);
    if (!memory) return tl::unexpected(std::move(memory.error()));
    memory_ = std::move(*memory);
    return {};
  }

  /// Makes elements [0, count) usable; new ones are all zero bytes. Errors: kResourceExhausted when
  /// memory, or the reserved capacity, runs out.
  Status ensure(std::size_t count) {
    if (count <= committed_.load(std::memory_order_acquire)) return {};
    return grow(count);
  }

  /// Fills an array of which nothing was used yet with the `count` elements of section `name`, by
  /// placing it: see SectionReader::place. It grows behind them as ever. Elements from `count` to
  /// committed() are zero unless the file is damaged. On an error the array is to be discarded.
  /// Errors: kDataLoss unless the section has exactly `count` elements; kResourceExhausted.
  Status adopt(SectionReader& reader, std::string_view name, std::size_t count) {
    const auto section_bytes = reader.size(name);
    if (!section_bytes) return tl::unexpected(section_bytes.error());
    if (*section_bytes % sizeof(T) != 0 || *section_bytes / sizeof(T) != count) {
      return fail(ErrorCode::kDataLoss, "section '" + std::string(name) + "' has " +
                                            std::to_string(*section_bytes) + " bytes, " +
                                            std::to_string(count) + " entries of " +
                                            std::to_string(sizeof(T)) + " were expected");
    }
    if (count > capacity()) return exhausted(count);
    const std::lock_guard lock(mutex_);
    ENGRAM_ASSERT(bytes_ == 0);
    if (*section_bytes >= kLargestStep) memory_.prefer_huge_pages();
    ENGRAM_TRY(memory_.place(reader, name));
    publish(round_up(*section_bytes, kPageBytes));
    return {};
  }

  T& operator[](std::size_t i) noexcept {
    ENGRAM_DASSERT(i < committed_.load(std::memory_order_relaxed));
    return data()[i];
  }
  const T& operator[](std::size_t i) const noexcept {
    ENGRAM_DASSERT(i < committed_.load(std::memory_order_relaxed));
    return data()[i];
  }

  T* data() noexcept { return reinterpret_cast<T*>(memory_.data()); }
  const T* data() const noexcept { return reinterpret_cast<const T*>(memory_.data()); }

  std::size_t capacity() const noexcept { return memory_.size() / sizeof(T); }
  std::size_t committed() const noexcept { return committed_.load(std::memory_order_acquire); }
  std::size_t committed_bytes() const noexcept { return committed() * sizeof(T); }

 private:
  static constexpr std::size_t kFirstStep = std::size_t{64} << 10;
  static constexpr std::size_t kLargestStep = std::size_t{8} << 20;

  Status grow(std::size_t count) {
    const std::lock_guard lock(mutex_);
    if (count > capacity()) return exhausted(count);
    const std::size_t old_bytes = bytes_;
    if (count * sizeof(T) <= old_bytes) return {};
    // Steps double up to a limit: small indexes stay small, large ones do not call often.
    const std::size_t step = std::clamp(old_bytes, kFirstStep, kLargestStep);
    const std::size_t wanted = (count * sizeof(T) + step - 1) / step * step;
    const std::size_t bytes = std::min(wanted, memory_.size());
    ENGRAM_TRY(memory_.commit(bytes));
    if (bytes >= kLargestStep && old_bytes < kLargestStep) memory_.prefer_huge_pages();
    publish(bytes);
    return {};
  }

  void publish(std::size_t bytes) noexcept {
    bytes_ = bytes;
    committed_.store(bytes / sizeof(T), std::memory_order_release);
  }

  tl::unexpected<Error> exhausted(std::size_t count) const {
    return fail(ErrorCode::kResourceExhausted, "reserved address space holds " +
                                                   std::to_string(capacity()) + " entries, " +
                                                   std::to_string(count) + " needed");
  }

  MappedMemory memory_;
  std::mutex mutex_;                       // guards growth, not elements
  std::size_t bytes_ = 0;                  // committed; guarded by mutex_
  std::atomic<std::size_t> committed_{0};  // in elements
};

}  // namespace engram
