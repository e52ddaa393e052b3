// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include "primitives/shared/hnsw/order.h"

namespace engram::hnsw {

/// A binary heap with the smallest number on top. On the way down it always goes to the bottom,
/// without a branch on what it meets: which child is smaller cannot be foreseen, and a wrong guess
/// costs more than a level. Always inlined: in the server the compiler called it out of line.
class RankHeap {
 public:
  void clear() { values_.assign(1, kNoRank); }
  bool empty() const noexcept { return size() == 0; }
  std::size_t size() const noexcept { return values_.size() - 1; }

  /// Not empty.
  Rank top() const noexcept { return values_.front(); }

  /// rank: less than kNoRank.
  [[gnu::always_inline]] void push(Rank rank) {
    std::size_t place = size();
    values_.push_back(kNoRank);
    while (place > 0 && values_[(place - 1) / 2] > rank) {
      values_[place] = values_[(place - 1) / 2];
      place = (place - 1) / 2;
    }
    values_[place] = rank;
  }

  /// Not empty.
  void pop() noexcept {
    const Rank last = values_[size() - 1];
    values_.pop_back();
    values_.back() = kNoRank;
    if (!empty()) replace_top(last);
  }

  /// As pop() and push(rank). Not empty.
  [[gnu::always_inline]] void replace_top(Rank rank) noexcept {
    Rank* const values = values_.data();
    const std::size_t count = size();
    std::size_t place = 0;
    for (std::size_t child = 1; child < count; child = 2 * place + 1) {
      child += static_cast<std::size_t>(values[child + 1] < values[child]);
      const Rank smaller = values[child];
      values[place] = std::min(rank, smaller);
      rank = std::max(rank, smaller);
      place = child;
    }
    values[place] = rank;
  }

  /// All, in no order that is said.
  std::span<const Rank> values() const noexcept { return {values_.data(), size()}; }

 private:
  std::vector<Rank> values_ = {kNoRank};  // the heap, and a last one that is no child to go to
};

}  // namespace engram::hnsw
