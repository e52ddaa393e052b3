// SPDX-License-Identifier: Apache-2.0
// How keys come and go. The rule: writes to one key are carried out one at a time, in the order in
// which they were recorded. Each is a job, and then a commit on the event loop:
//
//   put:    the index inserts the new slot, then erases the one it replaces; the key leads to the
//           new slot, the old one is retired
//   erase:  the index erases the slot; the key is removed, the slot retired
//
// So a search meets every key at all times, perhaps twice: see replacements.h.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/index.h"
#include "core/make_index.h"
#include "core/result.h"
#include "server/durability/soundness.h"
#include "server/engine/attributes.h"
#include "server/engine/collection_changes.h"
#include "server/engine/key_map.h"
#include "server/engine/key_order.h"
#include "server/engine/operations.h"
#include "server/engine/puts_under_way.h"
#include "server/engine/replacements.h"
#include "server/engine/slot_reclaimer.h"
#include "server/engine/slot_table.h"
#include "server/engine/strengths.h"

namespace engram {

/// Threads: the event loop's only.
class ItemWriter {
 public:
  /// What it works on; all of it outlives this.
  struct Parts {
    const Traits& traits;
    const VectorStore& store;
    Index& index;
    KeyMap& keys;
    KeyOrder& key_order;
    SlotTable& slots;
    SlotReclaimer& reclaimer;
    Replacements& replacements;
    Operations& operations;
    CollectionChanges& changes;
    const std::shared_ptr<const Soundness>& soundness;  // null: nothing was loaded
    Strengths* strengths;                               // null: all are equal
    Attributes& attributes;
    PutsUnderWay& puts;
  };

  explicit ItemWriter(const Parts& parts) : parts_(parts) {}

  /// Puts staged entries, at least one, of which none waits for another. vectors: [n * dim], as
  /// given, or empty if changes are not recorded. gain: where there are strengths, which have room
  /// for the entries, as attributes have: those of each entry, or one for all. Calls `done` with
  /// how many keys are new, or with the first error; the other entries are put nevertheless.
  void put(std::vector<SlotEntry*> entries, std::span<const float> vectors,
           const StrengthGain& gain, std::span<const GivenAttributes> attributes,
           std::function<void(Result<std::size_t>)> done);

  /// Puts `key`, which is there and to which no write is under way, once more, as it is: for an
  /// index to which the order of writes matters. Nothing is recorded.
  void put_again(std::string_view key, std::function<void(Status)> done);

  /// Removes `key`, then calls `done` with whether it was there.
  void erase(std::string_view key, std::function<void(bool)> done);

  /// What becomes of a write that others wait for.
  class Outcome {
   public:
    void settle(bool good) {
      good_ = good;
      for (const auto& action : std::exchange(waiting_, {})) action(good);
    }
    /// Calls `action` when it is settled: now, or in settle().
    void when_settled(std::function<void(bool good)> action) {
      if (good_) return action(*good_);
      waiting_.push_back(std::move(action));
    }

   private:
    std::optional<bool> good_;
    std::vector<std::function<void(bool)>> waiting_;
  };

  /// Removes `key`, which is there and no write to it under way, when `outcome` is good. It is
  /// recorded at once, and recorded anew should `outcome` be bad: the key stays then. Calls `done`
  /// in either case.
  void erase_after(const std::shared_ptr<Outcome>& outcome, std::string_view key,
                   std::function<void()> done);

  /// The place of `key` when all that was recorded has been carried out; kNoSlot if it has none.
  [[nodiscard]] Slot place_of(std::string_view key) const;

  /// Gives `key` attributes, which are allowed, and records it; false if there is no such key. A
  /// put or an erase that is under way counts as carried out.
  bool set_attributes(std::string_view key, std::string_view text);

  // Where there are strengths.

  /// Changes the strength of `key`, at once; ln s(ms) as it is now, or nothing if there is no such
  /// key. A put or an erase that is under way counts as carried out; if the put fails, what the key
  /// holds instead is changed.
  std::optional<double> affect(std::string_view key, const StrengthEffect& effect);
  /// Gives `key` a strength by a write of that time, and records it; nothing happens if there is no
  /// such key. A trace that is not of TraceKind::kLevel needs Strengths::allow_rules().
  void set_strength(std::string_view key, const Trace& trace, std::int64_t ms);

  /// Inserts every current slot into an empty index, then calls `done` with the first error.
  void rebuild(std::function<void(Status)> done);

 private:
  struct Batch;
  struct Write;

  void run(Operations::Work work, std::function<void()> done);

  void begin_strength(const SlotEntry& entry, const StrengthGain& gain, std::int64_t ms);
  void record_strength(std::string_view key, Slot slot, std::int64_t ms) const;
  void begin_attributes(const SlotEntry& entry, GivenAttributes given);
  void record_attributes(std::string_view key, Slot slot) const;
  void leave(Slot slot);
  void settle_attributes(const SlotEntry& entry, Slot former);
  void discard_attributes(const SlotEntry& entry);

  [[nodiscard]] std::size_t largest_job() const noexcept;
  void start(const std::shared_ptr<Batch>& batch, const std::vector<SlotEntry*>& entries);
  void finish(const std::shared_ptr<Batch>& batch, std::vector<Write>& writes);
  bool commit(SlotEntry& entry);
  void record_failure(const SlotEntry& entry);
  void undo_strength(const SlotEntry& entry);
  void keep_after_all(const std::string& key, const CollectionChanges::InProgress& change);
  void start_erase(const std::string& key, const std::function<void(bool)>& done,
                   const CollectionChanges::InProgress& change);

  // On workers.
  Status insert(const SlotEntry& entry, Slot replaced, Scratch& scratch);
  Status add_to_index(const SlotEntry& entry, Scratch& scratch);
  void remove(Slot slot, Scratch& scratch);

  const Parts parts_;
  std::atomic<std::uint64_t> insert_us_{0};  // what one took, the last time
  std::uint64_t last_sequence_ = 0;  // workers; of Insertion, since the collection was loaded
};

}  // namespace engram
