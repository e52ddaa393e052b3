// SPDX-License-Identifier: Apache-2.0
// What an index does by itself, where VNEW asked for it: every so often items that lie near each
// other become one, those that have become weaker than its floor go, and then the weakest until it
// is within its budget. The rule: an index merges once at a time, and forgets once at a time; a
// round that comes due while a former one merges forgets at once, so that merging, which may take
// minutes, keeps no index beyond its budget. What lies near is merged as consolidation_run.h says,
// unless nothing was written since. The weak go in batches, each of which is sought in steps on the
// bulk lane, several at once, and erased as forgetting.h says. What a round does is journaled as
// writes, so no replay decides anything.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "core/result.h"
#include "server/engine/weak_items.h"

namespace engram {

class Collection;
class ConsolidationRun;
class Store;

/// Threads: the event loop's only.
class BackgroundUpkeep {
 public:
  /// `store` outlives it.
  explicit BackgroundUpkeep(Store& store) : store_(store) {}

  /// Begins the rounds that are due. To be called in every turn of the loop.
  void run_due();
  /// The same of one index.
  void run_due_of(std::shared_ptr<Collection> collection);
  /// How long the loop may sleep, in milliseconds, if nothing wakes it; nothing: for ever.
  [[nodiscard]] std::optional<std::int64_t> longest_sleep_ms() const;

  /// While it is paused no round begins, and those under way end before they erase more.
  void set_paused(bool is_paused) noexcept { is_paused_ = is_paused; }

  // Of all indexes, since the start.

  [[nodiscard]] std::uint64_t forgotten() const noexcept { return forgotten_; }
  [[nodiscard]] std::uint64_t merged() const noexcept { return merged_; }
  /// How often the items of an index were looked at.
  [[nodiscard]] std::uint64_t looks() const noexcept { return looks_; }
  [[nodiscard]] std::size_t rounds_under_way() const noexcept { return under_way_; }

 private:
  struct Round;

  void find_indexes();
  bool may_write() const;
  [[nodiscard]] std::int64_t now_of(const Collection& collection) const;
  void begin(std::shared_ptr<Collection> collection);
  void merge(const std::shared_ptr<Round>& round);
  void end_merging(const std::shared_ptr<Round>& round, ConsolidationRun& run, bool is_whole);
  Status check_going_on(const Round& round) const;
  void forget(const std::shared_ptr<Round>& round);
  void next_batch(const std::shared_ptr<Round>& round);
  void erase_batch(const std::shared_ptr<Round>& round);
  void look(const std::shared_ptr<Round>& round);
  static std::size_t most_to_go(const Round& round);
  void end(const std::shared_ptr<Round>& round);

  Store& store_;
  std::uint64_t known_before_ = 0;                  // ids of collections that were looked at
  std::vector<std::weak_ptr<Collection>> indexes_;  // that forget
  std::uint64_t forgotten_ = 0;
  std::uint64_t merged_ = 0;
  std::uint64_t looks_ = 0;
  bool is_paused_ = false;
  std::size_t under_way_ = 0;
};

}  // namespace engram
