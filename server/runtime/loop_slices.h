// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <utility>

namespace engram {

/// Work that would hold the event loop for long, in slices between what clients ask for. However
/// much there is, it gets no more than a third of a millisecond of each turn. Threads: the loop's
/// only.
class LoopSlices {
 public:
  using Clock = std::chrono::steady_clock;
  /// Goes on until that time or so; true: it has ended.
  using Work = std::function<bool(Clock::time_point until)>;

  static constexpr std::chrono::microseconds kSlice{100};

  /// Has run() work on it, from its next call on.
  void add(Work work) { waiting_.push_back(std::move(work)); }

  [[nodiscard]] bool empty() const noexcept { return waiting_.empty(); }

  /// One turn's share.
  void run() {
    if (waiting_.empty()) return;
    const auto end = Clock::now() + kShare;
    for (auto now = Clock::now(); now < end && !waiting_.empty(); now = Clock::now()) {
      Work work = std::move(waiting_.front());
      waiting_.pop_front();
      if (!work(now + kSlice)) waiting_.push_back(std::move(work));
    }
  }

  /// Drops what has not ended.
  void clear() { std::exchange(waiting_, {}); }

 private:
  static constexpr std::chrono::microseconds kShare{300};

  std::deque<Work> waiting_;
};

}  // namespace engram
