// SPDX-License-Identifier: Apache-2.0
#include "server/net/byte_buffer.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "core/assert.h"

namespace engram {

ByteBuffer::~ByteBuffer() {
  std::free(data_);
}

std::span<char> ByteBuffer::writable(std::size_t bytes) {
  if (capacity_ - tail_ < bytes && head_ >= size()) {
    // No more is moved than was consumed since the last time.
    if (size() != 0) std::memmove(data_, data_ + head_, size());
    tail_ -= head_;
    head_ = 0;
  }
  if (capacity_ - tail_ < bytes) {
    const std::size_t wanted = std::max(tail_ + bytes, capacity_ + capacity_ / 2);
    auto* const grown = static_cast<char*>(std::realloc(data_, wanted));
    if (grown == nullptr) return {};
    data_ = grown;
    capacity_ = wanted;
  }
  return {data_ + tail_, capacity_ - tail_};
}

void ByteBuffer::consume(std::size_t bytes) noexcept {
  ENGRAM_ASSERT(bytes <= size());
  head_ += bytes;
  if (head_ == tail_) head_ = tail_ = 0;
}

void ByteBuffer::shrink(std::size_t bytes) noexcept {
  if (size() != 0 || capacity_ <= bytes) return;
  std::free(data_);
  data_ = nullptr;
  capacity_ = head_ = tail_ = 0;
}

void ByteBuffer::fit() noexcept {
  if (size() == 0) return shrink(0);
  if (capacity_ == size()) return;
  std::memmove(data_, data_ + head_, size());
  tail_ -= std::exchange(head_, 0);
  auto* const fitted = static_cast<char*>(std::realloc(data_, tail_));
  if (fitted == nullptr) return;
  data_ = fitted;
  capacity_ = tail_;
}

}  // namespace engram
