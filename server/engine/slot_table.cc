// SPDX-License-Identifier: Apache-2.0
#include "server/engine/slot_table.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

namespace engram {

SlotTable::~SlotTable() {
  const std::size_t slots = std::min<std::size_t>(store_.slot_end(), entries_.ready());
  for (std::size_t slot = 0; slot < slots; ++slot) SlotEntry::destroy(entries_[slot]);
}

Result<Slot> SlotTable::take(Slot wanted) {
  if (wanted != kNoSlot) {
    ENGRAM_TRY(store_.allocate(wanted));
    return wanted;
  }
  Result<Slot> slot = store_.allocate();
  if (slot || released_.empty()) return slot;
  reuse_released();
  return store_.allocate();
}

Result<SlotEntry*> SlotTable::stage(std::string_view key, std::span<const float> vector,
                                    Slot wanted) {
  const Result<Slot> slot = take(wanted);
  if (!slot) return tl::unexpected(slot.error());
  Status room = entries_.ensure(std::size_t{*slot} + 1);
  if (room) room = current_.ensure(*slot + 1);
  if (room) room = stored_.ensure(*slot + 1);
  if (!room) {
    store_.release(*slot);
    return tl::unexpected(std::move(room.error()));
  }
  store_.write(*slot, vector);
  entries_[*slot] = SlotEntry::create(key, *slot);
  stored_.add(*slot);
  return entries_[*slot];
}

void SlotTable::make_current(Slot slot) {
  current_.add(slot);
  is_copy_stale_ = true;
}

void SlotTable::make_former(Slot slot) {
  current_.erase(slot);
  is_copy_stale_ = true;
}

/// In batches, so that a replayed journal, which waits for the slots that it names, waits for each
/// batch and not for each slot.
void SlotTable::release(Slot slot) {
  pins_.after([this, slot] {
    constexpr std::size_t kBatch = 64;
    stored_.erase(slot);
    SlotEntry::destroy(std::exchange(entries_[slot], nullptr));
    released_.push_back(slot);
    if (released_.size() >= kBatch) hand_out();
  });
}

void SlotTable::unpin_rows(GracePeriod::Ticket ticket) {
  pins_.leave(ticket);
  go_on_later();
}

void SlotTable::go_on_later() {
  if (!pins_.has_due()) return;
  if (!later_) return pins_.run_due(std::numeric_limits<std::size_t>::max());
  if (std::exchange(goes_on_later_, true)) return;
  later_([this] {
    goes_on_later_ = false;
    pins_.run_due(kMostAtOnce);
    go_on_later();
  });
}

void SlotTable::reuse_released() {
  pins_.run_due(std::numeric_limits<std::size_t>::max());
  hand_out();
}

void SlotTable::hand_out() {
  for (const Slot slot : std::exchange(released_, {})) store_.release(slot);
}

/// Copied only after a change, and into the same memory if no worker reads the last copy any more;
/// that is known because jobs are begun and destroyed on this thread.
Result<std::shared_ptr<const SlotSet>> SlotTable::current_items() {
  if (!is_copy_stale_) return copy_;
  if (copy_ == nullptr || copy_.use_count() > 1) {
    copy_ = std::make_shared<SlotSet>();
  }
  ENGRAM_TRY(copy_->assign(current_));
  is_copy_stale_ = false;
  return copy_;
}

std::size_t SlotTable::memory_bytes() const noexcept {
  return live() * sizeof(SlotEntry) + end() * sizeof(SlotEntry*);
}

Status SlotTable::load(SectionReader& reader, const SlotSet& stored) {
  ENGRAM_TRY(store_.load(reader, stored));
  ENGRAM_TRY(entries_.ensure(store_.slot_end()));
  ENGRAM_TRY(current_.ensure(store_.slot_end()));
  return stored_.assign(stored);
}

bool SlotTable::load_key(Slot slot, std::string_view key) {
  if (entries_[slot] != nullptr) return false;
  entries_[slot] = SlotEntry::create(key, slot);
  current_.add(slot);
  return true;
}

}  // namespace engram
