// SPDX-License-Identifier: Apache-2.0
#include "server/engine/background_forgetting.h"

#include <algorithm>
#include <limits>
#include <utility>
#include <variant>

#include "server/engine/collection.h"
#include "server/engine/forgetting.h"
#include "server/engine/persistence.h"
#include "server/engine/store.h"

namespace engram {
namespace {

constexpr std::size_t kBatch = 1024;  // items: some milliseconds, in which others do not write

/// How many items are too many.
std::size_t excess_of(const Collection& collection) {
  const Forgetting& rule = collection.spec().decay.forgetting;
  const std::size_t size = collection.size();
  std::size_t most = rule.budget == 0 ? size : rule.budget;
  if (rule.budget_bytes != 0) {
    const std::size_t each = collection.spec().dim * sizeof(float) + collection.mean_key_bytes();
    most = std::min(most, rule.budget_bytes / each);
  }
  return size - std::min(size, most);
}

}  // namespace

struct BackgroundForgetting::Round {
  std::shared_ptr<Collection> collection;
  std::int64_t at_ms;
  bool seeks_weak;  // by the floor, before it looks at the budget
};

/// New ones have ids that were not seen before.
void BackgroundForgetting::find_indexes() {
  Keyspace& keyspace = store_.keyspace();
  if (std::exchange(known_before_, keyspace.next_collection_id()) ==
      keyspace.next_collection_id()) {
    return;
  }
  indexes_.clear();
  keyspace.for_each([this](std::string_view, const Value& value) {
    const auto* const collection = std::get_if<std::shared_ptr<Collection>>(&value);
    if (collection == nullptr || !(*collection)->spec().decay.forgetting.is_on()) return;
    indexes_.push_back(*collection);
  });
}

/// The wall's, whatever time a client has named: one write of a distant future would have all that
/// is there forgotten.
std::int64_t BackgroundForgetting::now_of(const Collection& collection) const {
  const Decay& decay = collection.spec().decay;
  if (decay.has_time() && decay.clock == DecayClock::kLogical) {
    return collection.strengths().last_ms();
  }
  return store_.keyspace().now_ms();
}

bool BackgroundForgetting::may_write() const {
  const Persistence* const persistence = store_.persistence();
  return persistence == nullptr || persistence->health().has_value();
}

void BackgroundForgetting::run_due() {
  find_indexes();
  if (indexes_.empty()) return;
  std::erase_if(indexes_, [](const auto& index) { return index.expired(); });
  for (const auto& index : indexes_) {
    auto collection = index.lock();
    if (collection == nullptr) continue;  // a worker has let go of it just now
    ForgettingProgress& progress = collection->forgetting();
    const std::int64_t now = now_of(*collection);
    if (progress.is_under_way || now < progress.next_ms) continue;
    const bool is_first =
        std::exchange(progress.next_ms, now + collection->spec().decay.forgetting.every_ms) == 0;
    if (!is_first) begin(std::move(collection));
  }
}

std::optional<std::int64_t> BackgroundForgetting::longest_sleep_ms() const {
  std::optional<std::int64_t> least;
  for (const auto& index : indexes_) {
    const auto collection = index.lock();
    if (collection == nullptr || collection->forgetting().is_under_way) continue;
    const Decay& decay = collection->spec().decay;
    if (decay.has_time() && decay.clock == DecayClock::kLogical) continue;  // writes wake it
    const std::int64_t left = collection->forgetting().next_ms - now_of(*collection);
    least = std::min(least.value_or(left), left);
  }
  return least;
}

void BackgroundForgetting::begin(std::shared_ptr<Collection> collection) {
  if (!may_write()) return;
  if (!collection->check_soundness({})) return;
  const Decay& decay = collection->spec().decay;
  const std::int64_t at_ms = decay.has_time() ? now_of(*collection) : 0;
  collection->forgetting().is_under_way = true;
  ++under_way_;
  next_batch(
      std::make_shared<Round>(Round{std::move(collection), at_ms, decay.forgetting.floor > 0}));
}

/// What is below the floor first, then what is beyond the budget.
void BackgroundForgetting::next_batch(const std::shared_ptr<Round>& round) {
  Collection& collection = *round->collection;
  const std::size_t excess = round->seeks_weak ? kBatch : excess_of(collection);
  if (excess == 0) return end(round);
  const double below = round->seeks_weak ? collection.spec().decay.forgetting.floor
                                         : std::numeric_limits<double>::infinity();
  const std::size_t limit = std::min(excess, kBatch);
  collection.find_weak_items({.below = below, .at_ms = round->at_ms, .limit = limit},
                             [this, round, limit](Result<std::vector<WeakItem>> found) {
                               act_on(round, std::move(found), limit);
                             });
}

void BackgroundForgetting::act_on(const std::shared_ptr<Round>& round,
                                  Result<std::vector<WeakItem>> found, std::size_t asked) {
  // There may be memory, or a journal that takes changes, the next time.
  if (!found || !may_write()) return end(round);
  const bool was_all = found->size() < asked;
  const auto erased = [this, round, was_all](const std::vector<WeakItem>& items, Lsn) {
    forgotten_ += items.size();
    round->collection->forgetting().forgotten += items.size();
    if (!round->seeks_weak && (was_all || items.empty())) return end(round);
    round->seeks_weak = round->seeks_weak && !was_all && !items.empty();
    // Later: the erasures have been carried out when this returns.
    store_.run_soon([this, round] { next_batch(round); });
  };
  erase_weak_items(store_, round->collection, std::move(*found), round->at_ms, false, erased);
}

void BackgroundForgetting::end(const std::shared_ptr<Round>& round) {
  round->collection->forgetting().is_under_way = false;
  --under_way_;
}

}  // namespace engram
