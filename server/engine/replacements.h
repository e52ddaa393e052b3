// SPDX-License-Identifier: Apache-2.0
// Which keys may have two versions in the index.
//
// An overwrite inserts the new slot before it erases the old one, so for a moment a search may meet
// both; or neither, if it passes each place at the wrong time. The rule: a worker holds a Mark from
// before the second version can be met until the first is gone, and adds the new slot to the log
// while both are there. A search that finds any_since() its start is reconciled with the log.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "core/slot.h"
#include "server/engine/replacement_log.h"

namespace engram {

/// Threads: any.
class Replacements {
 public:
  /// What had been replaced at some time.
  struct Moment {
    std::uint64_t ended;
    ReplacementLog::Position position;
  };

  /// A replacement is under way while this lives.
  class Mark {
   public:
    explicit Mark(Replacements& replacements) : replacements_(replacements) {
      replacements_.begun_.fetch_add(1);
    }
    ~Mark() { replacements_.ended_.fetch_add(1); }
    Mark(const Mark&) = delete;
    Mark& operator=(const Mark&) = delete;

   private:
    Replacements& replacements_;
  };

  /// Call while `slot` and the slot that it replaces are both in the index.
  void add(Slot slot) { log_.add(slot); }

  [[nodiscard]] Moment now() const noexcept { return {ended_.load(), log_.position()}; }

  /// Whether a key may have had two versions since `moment`: false only if every replacement begun
  /// by now had ended by then.
  [[nodiscard]] bool any_since(const Moment& moment) const noexcept {
    return begun_.load() != moment.ended;
  }

  /// Appends the slots added since `moment`; false, and none, if some have been forgotten.
  [[nodiscard]] bool list_since(const Moment& moment, std::vector<Slot>& slots) const {
    return log_.since(moment.position, slots);
  }

 private:
  std::atomic<std::uint64_t> begun_{0};
  std::atomic<std::uint64_t> ended_{0};
  ReplacementLog log_;
};

}  // namespace engram
