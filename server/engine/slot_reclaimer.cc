// SPDX-License-Identifier: Apache-2.0
#include "server/engine/slot_reclaimer.h"

#include <algorithm>
#include <utility>

#include "core/assert.h"

namespace engram {

void SlotReclaimer::retire(Slot slot) {
  slots_.make_former(slot);
  if (!traits_.deferred_reclaim) return discard(slot);
  erased_.push_back(slot);
  reclaim_if_worthwhile();
}

/// An action may run inside the last job's completion, which keeps `this` alive.
void SlotReclaimer::discard(Slot slot) {
  operations_.after_running([this, slot] { slots_.release(slot); });
}

void SlotReclaimer::take_loaded(Slot slot) {
  if (traits_.deferred_reclaim) {
    erased_.push_back(slot);
  } else {
    slots_.release(slot);
  }
}

/// A pass over the structure costs about the same for one slot as for many. At a sixteenth the work
/// per erased vector is a constant and the memory that waits is bounded.
std::size_t SlotReclaimer::worth_reclaiming() const noexcept {
  constexpr std::size_t kFewest = 64;
  constexpr std::size_t kShare = 16;
  return std::max(kFewest, slots_.live() / kShare);
}

bool SlotReclaimer::is_behind() const noexcept {
  return is_reclaiming_ && (!delayed_writes_.empty() || erased_.size() >= 2 * worth_reclaiming());
}

void SlotReclaimer::admit_write(std::function<void()> start) {
  if (is_behind()) {
    delayed_writes_.push(std::move(start));
  } else {
    start();
  }
}

void SlotReclaimer::reclaim_if_worthwhile() {
  if (is_reclaiming_ || is_paused_ || erased_.size() < worth_reclaiming()) return;
  start([](const Status&) {});  // out of memory: tried again with the next erasure
}

void SlotReclaimer::start(Done done) {
  is_reclaiming_ = true;
  const auto slots = std::make_shared<const std::vector<Slot>>(std::exchange(erased_, {}));
  operations_.after_running([this, slots, done = std::move(done)] { reclaim(slots, done); });
}

void SlotReclaimer::settle(Done done) {
  if (is_reclaiming_) {
    after_reclaim_.push_back([this, done = std::move(done)] { settle(done); });
  } else if (!erased_.empty()) {
    start(std::move(done));
  } else {
    operations_.after_running([this, done = std::move(done)] {
      slots_.reuse_released();
      done({});
    });
  }
}

void SlotReclaimer::reclaim(const Slots& slots, const Done& done) {
  const auto status = std::make_shared<Status>();
  operations_.write(
      [this, slots, status](Scratch& scratch) {
        *status = index_.reclaim(*slots, scratch);
        series_.set_structure_bytes(index_.memory_bytes());
      },
      [this, slots, status, done] { finish(slots, std::move(*status), done); });
}

void SlotReclaimer::finish(const Slots& slots, Status status, const Done& done) {
  is_reclaiming_ = false;
  const bool is_done = status.has_value();
  if (is_done) {
    operations_.after_running([this, slots, done] {
      for (const Slot slot : *slots) slots_.release(slot);
      slots_.reuse_released();
      done({});
    });
  } else {
    erased_.insert(erased_.end(), slots->begin(), slots->end());
    done(std::move(status));
  }
  for (const auto& next : std::exchange(after_reclaim_, {})) next();
  if (is_done) reclaim_if_worthwhile();
  auto delayed = std::exchange(delayed_writes_, {});
  while (!delayed.empty()) delayed.pop()();
}

void SlotReclaimer::pause(std::function<void()> ready) {
  ENGRAM_ASSERT(!is_paused_ && after_reclaim_.empty());
  const auto start = [this, ready = std::move(ready)] {
    is_paused_ = true;
    ready();
  };
  if (is_reclaiming_) {
    after_reclaim_.push_back(start);
  } else {
    start();
  }
}

void SlotReclaimer::resume() {
  is_paused_ = false;
  reclaim_if_worthwhile();
}

void SlotReclaimer::abandon_waiting() {
  after_reclaim_.clear();
  std::exchange(delayed_writes_, {});
}

}  // namespace engram
