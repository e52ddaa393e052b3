// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

namespace engram {

/// A queue that takes no memory while it is empty, unlike std::deque, whose 600 bytes are most of
/// what a small index would weigh. Amortised constant time. Not thread-safe.
template <class T>
class Fifo {
 public:
  [[nodiscard]] bool empty() const noexcept { return first_ == items_.size(); }
  [[nodiscard]] std::size_t size() const noexcept { return items_.size() - first_; }

  /// The i-th from the front.
  T& operator[](std::size_t i) { return items_[first_ + i]; }
  T& front() { return items_[first_]; }
  [[nodiscard]] const T& front() const { return items_[first_]; }
  T& back() { return items_.back(); }

  void push(T item) { items_.push_back(std::move(item)); }

  /// Removes and returns the front.
  T pop() {
    T item = std::move(items_[first_++]);
    if (empty()) {
      items_.clear();
      if (items_.capacity() > kKept) items_.shrink_to_fit();
      first_ = 0;
    } else if (first_ >= kKept && first_ >= size()) {
      items_.erase(items_.begin(), items_.begin() + static_cast<std::ptrdiff_t>(first_));
      first_ = 0;
    }
    return item;
  }

 private:
  static constexpr std::size_t kKept = 32;

  std::vector<T> items_;
  std::size_t first_ = 0;  // those before it were popped
};

}  // namespace engram
