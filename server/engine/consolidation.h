// SPDX-License-Identifier: Apache-2.0
// Consolidation: items that lie near each other become one. The rule: groups are of the items at
// the start, whose rows are pinned to the end, so a slot that is current then and now has had no
// write in between. A group is written whole, in one frame of the journal, or not at all: not if
// one of its items has been overwritten or erased, or is about to be. What was added to strengths
// meanwhile is in their sum.
//
// Groups are found, and prototypes made, on workers in the bulk lane, in steps between which other
// jobs get their turn.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "core/groups/grouping.h"
#include "core/groups/prototype.h"
#include "core/result.h"
#include "core/trace.h"
#include "server/engine/item_replay.h"
#include "server/engine/key_order.h"
#include "server/engine/operations.h"
#include "server/engine/read_view.h"
#include "server/engine/slot_table.h"
#include "server/engine/strengths.h"

namespace engram {

struct ConsolidationParams {
  GroupingParams grouping = {};
  Keep keep = Keep::kCentroid;
  std::size_t least_members = 2;
  /// Of the groups that have so many, the first: those whose strongest members are the strongest.
  std::size_t most_groups = std::numeric_limits<std::size_t>::max();
  /// With draws, the items are those that they meet, and one is as strong as it was met often.
  ReplayParams replay = {};
  bool spares_pinned = false;  ///< what is pinned is in no group
  std::int64_t at_ms = 0;      ///< strengths are as of then
};

/// Items that are to become one.
struct ConsolidationGroup {
  std::vector<std::uint32_t> members;  ///< items, the strongest first, ties by key
  Prototype prototype = {};            ///< its vector only until the group is written
  double log_strength = 0;             ///< ln s(at_ms) of what it becomes, or of how many they are
  Trace trace = {};                    ///< where there are strengths: of what it becomes
  bool is_dropped = false;             ///< it was not written, because a member had changed
};

/// Threads: the event loop's only, except as members say.
class Consolidation : public std::enable_shared_from_this<Consolidation> {
 public:
  /// What it works on; all of it outlives this.
  struct Parts {
    const ReadView& view;
    const VectorStore& store;
    SlotTable& slots;
    Operations& operations;
    const KeyOrder& key_order;
    const Strengths* strengths;  // null: all items are equal
  };
  /// How far it is; any thread.
  struct Progress {
    bool is_grouping;
    std::size_t done;
    std::size_t end;  ///< 0: not known yet
  };

  Consolidation(const Parts& parts, const ConsolidationParams& params);

  /// Makes the next groups ready, which the first time takes until all are found, then calls
  /// `ready` with them; with none after the last. The items are those that there are when what runs
  /// at the first call has ended. Errors: kResourceExhausted, those of make_grouping(), and that of
  /// `check`, which is asked between steps whether to go on.
  struct Caller {
    std::function<Status()> check;
    std::function<void(const Result<std::span<ConsolidationGroup>>&)> ready;
  };
  void make_next(Caller caller);

  /// Lets go of the rows. Nothing else may be called afterwards.
  void end();

  /// How many items there were; valid from the first `ready` on, as all that follows. Any thread
  /// between `ready` and make_next().
  [[nodiscard]] std::size_t items() const noexcept { return items_->rows.size(); }
  [[nodiscard]] const std::vector<ConsolidationGroup>& groups() const noexcept { return groups_; }
  [[nodiscard]] std::size_t members() const noexcept { return members_; }
  [[nodiscard]] std::string_view key_of(std::uint32_t item) const noexcept {
    return parts_.view.key_of(slot_of(item));
  }
  /// Of the keys of all members.
  [[nodiscard]] std::size_t key_bytes() const noexcept { return key_bytes_; }
  /// What recalls of the index go by.
  [[nodiscard]] double beta() const noexcept { return beta_; }

  /// A look at the members of a group, how far it is.
  struct Renewal {
    std::size_t next = 0;      ///< of the members
    bool is_unchanged = true;  ///< none has been written to since the start
  };
  /// Looks at the next `most` members of a group that is ready, and brings its strength up to date:
  /// when all were looked at, with no write in between. True: there are more.
  bool renew(ConsolidationGroup& group, Renewal& renewal, std::size_t most) const;
  /// The vector that stands for the group, as a put takes it.
  [[nodiscard]] std::vector<float> vector_of(const ConsolidationGroup& group) const;
  /// What the item was known by at the start, or later; empty: nothing.
  [[nodiscard]] std::string_view attributes_of(std::uint32_t item) const noexcept {
    return parts_.view.attributes_of(slot_of(item));
  }

  [[nodiscard]] Progress progress() const noexcept {
    return {is_grouping_.load(), done_.load(), end_.load()};
  }
  [[nodiscard]] bool has_ended() const noexcept { return has_ended_; }

 private:
  [[nodiscard]] Slot slot_of(std::uint32_t item) const noexcept { return items_->rows.slot(item); }
  void sum_strengths(ConsolidationGroup& group) const;
  void add_strengths(ConsolidationGroup& group, Renewal& renewal, std::size_t most) const;

  void begin(const Caller& caller);
  Status take_items();
  void step(const Caller& caller);
  // On workers.
  Status advance(Scratch& scratch);
  struct Listed {
    double log_strength;
    std::string_view key;
    Slot slot;
  };
  [[nodiscard]] std::vector<Listed> list_items() const;
  Status take_stock(Scratch& scratch);
  Status begin_replay();
  [[nodiscard]] std::vector<Listed> met_items() const;
  Status gather(std::span<const Listed> items);
  void select();
  void make_some();

  const Parts parts_;
  const ConsolidationParams params_;
  std::shared_ptr<const SlotSet> current_;  // at the start
  std::optional<GracePeriod::Ticket> pin_;
  std::optional<ItemReplay> replay_;  // until items_ are gathered
  std::optional<GroupedItems> items_;
  std::unique_ptr<Grouping> grouping_;  // until groups_ are selected
  std::unique_ptr<PrototypeMaker> maker_;
  std::vector<ConsolidationGroup> groups_;
  std::size_t members_ = 0;
  std::size_t key_bytes_ = 0;
  double beta_ = 1;
  std::size_t ready_begin_ = 0;  // groups_ that are ready, and were not before
  std::size_t ready_end_ = 0;
  bool is_over_ = false;  // all were ready
  bool has_ended_ = false;

  std::atomic<bool> is_grouping_{true};
  std::atomic<std::size_t> done_{0};
  std::atomic<std::size_t> end_{0};
};

}  // namespace engram
