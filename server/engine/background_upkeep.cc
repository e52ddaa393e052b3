// SPDX-License-Identifier: Apache-2.0
#include "server/engine/background_upkeep.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <utility>

#include "server/engine/collection.h"
#include "server/engine/consolidation_run.h"
#include "server/engine/forgetting.h"
#include "server/engine/persistence.h"
#include "server/engine/store.h"

namespace engram {
namespace {

constexpr std::size_t kBatch = 1024;  // items: some milliseconds, in which others do not write

/// How many items are too many.
std::size_t excess_of(const Collection& collection) {
  const Upkeep& rule = collection.spec().decay.upkeep;
  const std::size_t size = collection.size();
  std::size_t most = rule.budget == 0 ? size : rule.budget;
  if (rule.budget_bytes != 0) {
    const std::size_t each = collection.spec().dim * sizeof(float) + collection.mean_key_bytes();
    most = std::min(most, rule.budget_bytes / each);
  }
  return size - std::min(size, most);
}

}  // namespace

struct BackgroundUpkeep::Round {
  std::shared_ptr<Collection> collection;
  std::int64_t at_ms;
  bool seeks_weak;                   // by the floor, before it looks at the budget
  std::uint64_t seen = 0;            // the collection's version, before it was looked at
  std::vector<WeakItem> found = {};  // the weakest at the last look
  std::size_t next = 0;              // of found
  bool found_all = false;            // there were no more at the last look
  bool has_erased = false;           // some since

  [[nodiscard]] bool is_used_up() const noexcept { return next == found.size(); }
};

/// New ones have ids that were not seen before.
void BackgroundUpkeep::find_indexes() {
  Keyspace& keyspace = store_.keyspace();
  if (std::exchange(known_before_, keyspace.next_collection_id()) ==
      keyspace.next_collection_id()) {
    return;
  }
  indexes_.clear();
  keyspace.for_each_collection([this](std::string_view name, const auto& collection) {
    if (!collection->spec().decay.upkeep.is_on()) return;
    collection->upkeep().name = name;
    indexes_.push_back(collection);
  });
}

/// The wall's, whatever time a client has named: one write of a distant future would have all that
/// is there forgotten.
std::int64_t BackgroundUpkeep::now_of(const Collection& collection) const {
  const Decay& decay = collection.spec().decay;
  if (decay.has_time() && decay.clock == DecayClock::kLogical) {
    return collection.strengths().last_ms();
  }
  return store_.keyspace().now_ms();
}

bool BackgroundUpkeep::may_write() const {
  if (is_paused_) return false;
  const Persistence* const persistence = store_.persistence();
  return persistence == nullptr || persistence->health().has_value();
}

void BackgroundUpkeep::run_due() {
  find_indexes();
  if (indexes_.empty()) return;
  std::erase_if(indexes_, [](const auto& index) { return index.expired(); });
  for (const auto& index : indexes_) {
    auto collection = index.lock();
    if (collection != nullptr) run_due_of(std::move(collection));  // else a worker let go of it
  }
}

void BackgroundUpkeep::run_due_of(std::shared_ptr<Collection> collection) {
  UpkeepProgress& progress = collection->upkeep();
  const std::int64_t now = now_of(*collection);
  if (progress.is_forgetting || now < progress.next_ms) return;
  const bool is_first =
      std::exchange(progress.next_ms, now + collection->spec().decay.upkeep.every_ms) == 0;
  if (!is_first) begin(std::move(collection));
}

std::optional<std::int64_t> BackgroundUpkeep::longest_sleep_ms() const {
  std::optional<std::int64_t> least;
  for (const auto& index : indexes_) {
    const auto collection = index.lock();
    if (collection == nullptr || collection->upkeep().is_forgetting) continue;
    const Decay& decay = collection->spec().decay;
    if (decay.has_time() && decay.clock == DecayClock::kLogical) continue;  // writes wake it
    const std::int64_t left = collection->upkeep().next_ms - now_of(*collection);
    least = std::min(least.value_or(left), left);
  }
  return least;
}

void BackgroundUpkeep::begin(std::shared_ptr<Collection> collection) {
  if (!may_write()) return;
  if (!collection->check_soundness({})) return;
  const Decay& decay = collection->spec().decay;
  const std::int64_t at_ms = decay.has_time() ? now_of(*collection) : 0;
  ++under_way_;
  const std::uint64_t seen = collection->version();
  const bool merges = !collection->upkeep().is_merging;
  const auto round =
      std::make_shared<Round>(Round{std::move(collection), at_ms, decay.upkeep.floor > 0, seen});
  merges ? merge(round) : forget(round);
}

/// Not while a client has the index consolidated: the next round looks again.
void BackgroundUpkeep::merge(const std::shared_ptr<Round>& round) {
  Collection& collection = *round->collection;
  const std::optional<double> radius = collection.spec().decay.upkeep.merge_radius;
  if (!radius || collection.upkeep().merged_at == collection.version()) {
    return forget(round);
  }
  const ConsolidationParams params = {
      .grouping = {.radius = *radius}, .spares_pinned = true, .at_ms = round->at_ms};
  auto work = collection.consolidate(params);
  if (!work) return forget(round);
  collection.upkeep().is_merging = true;
  const ConsolidationRun::Order order = {
      .from = round->collection, .into = nullptr, .params = params};
  const ConsolidationRun::Caller caller = {
      .check = [this, round] { return check_going_on(*round); },
      .check_groups = {},
      .ended =
          [this, round](const auto& run, const Status& status, Lsn) {
            end_merging(round, *run, status.has_value());
            store_.run_soon([this, round] { forget(round); });
          }};
  std::make_shared<ConsolidationRun>(store_, order, std::move(*work), caller)->start();
}

/// An index that has gone, or may not be written to, is left alone. No client sees the error.
Status BackgroundUpkeep::check_going_on(const Round& round) const {
  ENGRAM_TRY(round.collection->check_soundness({}));
  std::string& known = round.collection->upkeep().name;
  auto name = store_.keyspace().find_name(*round.collection, known);
  if (name && may_write()) {
    known = std::move(*name);
    return {};
  }
  return fail(ErrorCode::kUnavailable, "there is nothing more to write to");
}

void BackgroundUpkeep::end_merging(const std::shared_ptr<Round>& round, ConsolidationRun& run,
                                   bool is_whole) {
  UpkeepProgress& progress = round->collection->upkeep();
  if (is_whole && run.work().groups().empty()) progress.merged_at = round->seen;
  run.end_work();
  merged_ += run.absorbed();
  progress.merged += run.absorbed();
  progress.is_merging = false;
}

/// One at a time, too: where merging lasts, rounds that came due meanwhile have forgotten.
void BackgroundUpkeep::forget(const std::shared_ptr<Round>& round) {
  if (round->collection->upkeep().is_forgetting) {
    --under_way_;
    return;
  }
  round->collection->upkeep().is_forgetting = true;
  next_batch(round);
}

/// How many may go at all: below the floor any, else what is beyond the budget.
std::size_t BackgroundUpkeep::most_to_go(const Round& round) {
  return round.seeks_weak ? round.collection->size() : excess_of(*round.collection);
}

/// A look at all items is for many batches, as far as their keys take little memory.
void BackgroundUpkeep::look(const std::shared_ptr<Round>& round) {
  constexpr std::size_t kMostFound = 65'536;
  constexpr std::size_t kMostKeyBytes = std::size_t{16} << 20;
  Collection& collection = *round->collection;
  const double below = round->seeks_weak ? collection.spec().decay.upkeep.floor
                                         : std::numeric_limits<double>::infinity();
  const std::size_t most =
      std::clamp(kMostKeyBytes / (collection.mean_key_bytes() + 1), kBatch, kMostFound);
  const std::size_t limit = std::min(most_to_go(*round), most);
  ++looks_;
  collection.find_weak_items({.below = below, .at_ms = round->at_ms, .limit = limit},
                             [this, round, limit](Result<std::vector<WeakItem>> found) {
                               // There may be memory the next time.
                               if (!found) return end(round);
                               round->found = std::move(*found);
                               round->next = 0;
                               round->found_all = round->found.size() < limit;
                               round->has_erased = false;
                               erase_batch(round);
                             });
}

/// What is below the floor first, then what is beyond the budget.
void BackgroundUpkeep::next_batch(const std::shared_ptr<Round>& round) {
  if (!check_going_on(*round)) return end(round);
  if (!round->is_used_up()) return erase_batch(round);
  const bool has_looked = !round->found.empty() || round->found_all;
  const bool is_over = has_looked && (round->found_all || !round->has_erased);
  if (is_over && !round->seeks_weak) return end(round);
  round->seeks_weak = round->seeks_weak && !is_over;
  if (most_to_go(*round) == 0) return end(round);
  look(round);
}

void BackgroundUpkeep::erase_batch(const std::shared_ptr<Round>& round) {
  // The journal may take changes the next time.
  const std::size_t count =
      std::min({round->found.size() - round->next, kBatch, most_to_go(*round)});
  if (!may_write() || (count == 0 && !round->is_used_up())) return end(round);
  const auto begin = round->found.begin() + static_cast<std::ptrdiff_t>(round->next);
  std::vector<WeakItem> batch(std::make_move_iterator(begin),
                              std::make_move_iterator(begin + static_cast<std::ptrdiff_t>(count)));
  round->next += count;
  const auto erased = [this, round](const std::vector<WeakItem>& items, Lsn) {
    forgotten_ += items.size();
    round->collection->upkeep().forgotten += items.size();
    round->has_erased = round->has_erased || !items.empty();
    // Later: the erasures have been carried out when this returns.
    store_.run_soon([this, round] { next_batch(round); });
  };
  erase_weak_items(store_, round->collection, std::move(batch), round->at_ms, false, erased);
}

void BackgroundUpkeep::end(const std::shared_ptr<Round>& round) {
  round->collection->upkeep().is_forgetting = false;
  --under_way_;
}

}  // namespace engram
