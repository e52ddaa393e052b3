// SPDX-License-Identifier: Apache-2.0
#include "server/engine/forgetting.h"

#include <utility>

namespace engram {
namespace {

struct Erasing {
  Store& store;
  std::shared_ptr<Collection> collection;
  std::vector<WeakItem> items;
  std::int64_t at_ms;
  bool is_step;
  std::function<void(std::vector<WeakItem>, Lsn)> done;
  std::size_t next = 0;  // of items
  std::vector<WeakItem> erased = {};
  std::size_t unfinished = 1;  // erasures, and this itself while it goes on
  Lsn lsn = 0;
};

void finish_one(const std::shared_ptr<Erasing>& run) {
  if (--run->unfinished > 0) return;
  run->done(std::move(run->erased), run->lsn);
  if (!run->is_step) run->store.gate().leave();
}

/// What was pinned since stays.
bool is_as_weak(const Erasing& run, const WeakItem& item) {
  const Strengths& strengths = run.collection->strengths();
  const Slot slot = run.collection->strength_slot(item.key);
  return slot != kNoSlot && !strengths.is_pinned(slot) &&
         strengths.log_strength(slot, run.at_ms) <= item.log_strength;
}

/// Also what was touched since, and is as weak nevertheless, goes.
void erase_next(const std::shared_ptr<Erasing>& run) {
  WeakItem& item = run->items[run->next++];
  if (!is_as_weak(*run, item)) return;
  ++run->unfinished;
  run->erased.push_back(std::move(item));
  run->collection->erase(run->erased.back().key, [run](bool) { finish_one(run); });
}

/// True: that was all.
bool erase_some(const std::shared_ptr<Erasing>& run, LoopSlices::Clock::time_point until) {
  constexpr std::size_t kBetweenLooks = 16;
  while (run->next < run->items.size()) {
    erase_next(run);
    if (run->next % kBetweenLooks == 0 && LoopSlices::Clock::now() >= until) break;
  }
  if (run->next < run->items.size()) return false;
  if (!run->is_step) {
    run->lsn = run->store.end_transaction();
    run->store.gate().open();
  }
  finish_one(run);
  return true;
}

void begin(const std::shared_ptr<Erasing>& run) {
  if (!run->is_step) {
    TransactionGate& gate = run->store.gate();
    gate.close();
    gate.enter();  // the search was no write, this is
    run->store.begin_transaction();
  }
  run->store.slices().add(
      [run](LoopSlices::Clock::time_point until) { return erase_some(run, until); });
  run->store.run_soon([] {});  // a turn of the loop
}

}  // namespace

void erase_weak_items(Store& store, std::shared_ptr<Collection> collection,
                      std::vector<WeakItem> items, std::int64_t at_ms, bool is_step,
                      std::function<void(std::vector<WeakItem>, Lsn)> done) {
  if (items.empty()) return done({}, 0);
  const auto run = std::make_shared<Erasing>(
      Erasing{store, std::move(collection), std::move(items), at_ms, is_step, std::move(done)});
  if (is_step) return begin(run);
  store.gate().when_open([run] { begin(run); });
}

}  // namespace engram
