// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <new>

namespace engram {

/// The alignment of stored rows and prepared queries: a cache line, and the widest SIMD register.
inline constexpr std::size_t kRowAlignment = 64;

constexpr std::size_t round_up(std::size_t value, std::size_t multiple) noexcept {
  return (value + multiple - 1) / multiple * multiple;
}

/// Frees bytes that were allocated on a kRowAlignment boundary.
struct FreeAligned {
  void operator()(std::byte* bytes) const noexcept {
    ::operator delete (bytes, std::align_val_t{kRowAlignment});
  }
};

/// Scratch bytes on a kRowAlignment boundary that grow and never shrink, so that a worker allocates
/// only for the largest query it has met. Contents are lost on growth. Not thread-safe.
class AlignedBuffer {
 public:
  /// At least `size` bytes, uninitialised or left from the last use.
  std::byte* reserve(std::size_t size) {
    if (size > capacity_) {
      const std::size_t rounded = round_up(size, kRowAlignment);
      data_.reset(
          static_cast<std::byte*>(::operator new (rounded, std::align_val_t{kRowAlignment})));
      capacity_ = rounded;
    }
    return data_.get();
  }

 private:
  std::unique_ptr<std::byte, FreeAligned> data_;
  std::size_t capacity_ = 0;
};

}  // namespace engram
