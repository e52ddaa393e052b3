// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <tsl/robin_set.h>

#include "core/slot.h"

namespace engram {

/// The slots of puts that were recorded and are not carried out; and, while somebody watches, of
/// all that are recorded, in order. Threads: the event loop's only.
class PutsUnderWay {
 public:
  /// A number that rises with every put that is recorded while somebody watches.
  using Moment = std::uint64_t;

  void begin(Slot slot) {
    under_way_.insert(slot);
    if (watchers_ > 0) recorded_.push_back(slot);
  }
  void end(Slot slot) { under_way_.erase(slot); }

  [[nodiscard]] bool contains(Slot slot) const { return under_way_.contains(slot); }
  [[nodiscard]] std::vector<Slot> list() const { return {under_way_.begin(), under_way_.end()}; }

  /// From now until unwatch() what is recorded is remembered.
  void watch() noexcept { ++watchers_; }
  void unwatch() {
    if (--watchers_ > 0) return;
    first_ = now();
    std::vector<Slot>().swap(recorded_);
  }
  [[nodiscard]] Moment now() const noexcept { return first_ + recorded_.size(); }
  /// What was recorded since a moment that was watched.
  [[nodiscard]] std::span<const Slot> since(Moment moment) const noexcept {
    return std::span(recorded_).subspan(static_cast<std::size_t>(moment - first_));
  }
  /// Nobody asks for what was recorded before that moment any more.
  void forget_before(Moment moment) {
    constexpr std::size_t kWorthwhile = 4096;
    const auto count = static_cast<std::size_t>(moment - first_);
    if (count < kWorthwhile || count < recorded_.size() / 2) return;
    recorded_.erase(recorded_.begin(), recorded_.begin() + static_cast<std::ptrdiff_t>(count));
    first_ = moment;
  }

 private:
  tsl::robin_set<Slot> under_way_;
  std::vector<Slot> recorded_;
  Moment first_ = 0;  // of recorded_
  std::size_t watchers_ = 0;
};

}  // namespace engram
