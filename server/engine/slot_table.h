// SPDX-License-Identifier: Apache-2.0
// Where the items of a collection lie. The rule: a slot is in one of four states, and its row and
// its entry do not change until it is free again.
//
//   free     --stage()-->         staged   has a row and an entry; not the place of its key yet
//   staged   --make_current()-->  current  the place of its key
//   current  --make_former()-->   former   replaced or erased; the index and jobs may still see it
//   staged, former --release()--> free     as soon as no save and no survey pins the rows
//
// Who may call release() when is slot_reclaimer.h's.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "core/result.h"
#include "core/sections.h"
#include "core/slot_set.h"
#include "core/vector_store.h"
#include "server/engine/grace_period.h"
#include "server/engine/slot_entry.h"

namespace engram {

/// Threads: the event loop's only, except that workers read entries(), and a save the sets.
class SlotTable {
 public:
  /// `store` outlives this.
  explicit SlotTable(VectorStore& store) : store_(store) {}
  ~SlotTable();
  SlotTable(const SlotTable&) = delete;
  SlotTable& operator=(const SlotTable&) = delete;

  /// Takes `wanted`, which is_free(), or any slot for kNoSlot, and writes the row.
  /// Errors: kResourceExhausted.
  Result<SlotEntry*> stage(std::string_view key, std::span<const float> vector, Slot wanted);
  void make_current(Slot slot);
  void make_former(Slot slot);
  void release(Slot slot);

  /// Released slots are handed out again some at a time: this makes it now.
  void reuse_released();

  /// What gives an action a later turn of the event loop. Without it, all that a pin has held up
  /// goes at once.
  using Later = std::function<void(std::function<void()> action)>;
  void set_later(Later later) { later_ = std::move(later); }

  [[nodiscard]] bool is_free(Slot slot) const noexcept { return store_.is_free(slot); }
  [[nodiscard]] bool is_current(Slot slot) const noexcept { return current_.contains(slot); }

  /// The current slots for workers: a copy that never changes. Errors: kResourceExhausted.
  Result<std::shared_ptr<const SlotSet>> current_items();

  /// While a pin is held no row and no entry is given up.
  [[nodiscard]] GracePeriod::Ticket pin_rows() { return pins_.enter(); }
  /// What it has held up, which may be much, goes over several turns of the event loop.
  void unpin_rows(GracePeriod::Ticket ticket);
  /// Calls `action` when the pins that are held have been given back: now, if none is.
  void after_pins(std::function<void()> action) { pins_.after(std::move(action)); }

  [[nodiscard]] const SlotEntries& entries() const noexcept { return entries_; }
  [[nodiscard]] const SlotSet& current() const noexcept { return current_; }
  /// Every slot that has a row.
  [[nodiscard]] const SlotSet& stored() const noexcept { return stored_; }

  /// One past the highest slot ever used.
  [[nodiscard]] Slot end() const noexcept { return store_.slot_end(); }
  /// How many are not free; some may be released already.
  [[nodiscard]] std::size_t live() const noexcept { return store_.live(); }
  /// How many have a row.
  [[nodiscard]] std::size_t stored_count() const noexcept { return live() - released_.size(); }
  /// Bytes of entries, without rows and keys.
  [[nodiscard]] std::size_t memory_bytes() const noexcept;

  // Loading a new table.

  /// Brings the rows of `stored` back; those slots count as former then. Errors: those of
  /// VectorStore::load, kResourceExhausted.
  Status load(SectionReader& reader, const SlotSet& stored);
  /// Makes a loaded slot the place of `key`. False if it has a key already.
  bool load_key(Slot slot, std::string_view key);

 private:
  static constexpr std::size_t kMostAtOnce = 512;  // slots, a third of a millisecond

  Result<Slot> take(Slot wanted);
  void hand_out();
  void go_on_later();

  VectorStore& store_;
  SlotEntries entries_;  // owns them
  SlotSet stored_;       // from staging until released
  SlotSet current_;
  std::shared_ptr<SlotSet> copy_;  // of current_, which workers may be reading; null: none yet
  bool is_copy_stale_ = true;
  GracePeriod pins_{kMostAtOnce};
  Later later_;
  bool goes_on_later_ = false;
  std::vector<Slot> released_;  // not given back to the store yet
};

}  // namespace engram
