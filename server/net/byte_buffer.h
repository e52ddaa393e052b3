// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace engram {

/// A growing queue of received bytes: written at the tail, dropped at the head, always contiguous.
/// Memory follows what has arrived, never what was announced. Views end with the next writable().
class ByteBuffer {
 public:
  ByteBuffer() = default;
  ByteBuffer(const ByteBuffer&) = delete;
  ByteBuffer& operator=(const ByteBuffer&) = delete;
  ~ByteBuffer();

  [[nodiscard]] std::string_view view() const noexcept { return {data_ + head_, size()}; }
  [[nodiscard]] std::size_t size() const noexcept { return tail_ - head_; }
  [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }

  /// At least `bytes` of room after the tail, to be filled and then appended with commit().
  /// Amortized linear: bytes are moved only when the room at the head is worth it. Empty if memory
  /// ran out.
  [[nodiscard]] std::span<char> writable(std::size_t bytes);
  void commit(std::size_t bytes) noexcept { tail_ += bytes; }

  void consume(std::size_t bytes) noexcept;

  /// Gives memory beyond `bytes` back if the buffer is empty.
  void shrink(std::size_t bytes) noexcept;
  /// Gives all memory back that holds no bytes.
  void fit() noexcept;

 private:
  char* data_ = nullptr;  // malloc'd: realloc moves pages of large buffers instead of bytes
  std::size_t capacity_ = 0;
  std::size_t head_ = 0;
  std::size_t tail_ = 0;
};

}  // namespace engram
