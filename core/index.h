// SPDX-License-Identifier: Apache-2.0
// The contract of a retrieval primitive. A primitive is an Index over the slots of one VectorStore;
// it knows nothing of keys, files, sockets or which thread calls. primitives/README.md shows how to
// write one; tests/primitives/conformance holds every registered one to this page.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/bias.h"
#include "core/bound.h"
#include "core/item_filter.h"
#include "core/kernel.h"
#include "core/options.h"
#include "core/recall.h"
#include "core/result.h"
#include "core/scratch.h"
#include "core/sections.h"
#include "core/slot.h"
#include "core/slot_set.h"
#include "core/vector_store.h"

namespace engram {

/// What a primitive can do. Data, so that callers ask instead of catching.
struct Traits {
  /// search() returns the true nearest, so it equals a scan.
  bool exact = false;
  /// insert, erase, reclaim and search may all run at once on different threads. If not, the caller
  /// runs insert, erase and reclaim alone; searches still run beside each other.
  bool concurrent = false;
  /// An erased slot stays in use inside (routing a graph, say) until reclaim() lets go of it.
  bool deferred_reclaim = false;
  /// save() and load() keep the structure; otherwise it is rebuilt from the vectors.
  bool saves_structure = false;
  /// There is a recaller().
  bool recalls = false;
  /// Recalls depend on the order of inserts, and an erased item may leave a trace.
  /// RecallParams::items are then those that may be named, not those that recalls are made of, and
  /// load() keeps all that was saved of them. The caller inserts and erases one at a time, in the
  /// order in which it recorded them. Goes with saves_structure, and not with concurrent.
  bool order_dependent = false;
  /// Searches obey SearchParams::bias, and recalls and surveys RecallParams::bias. An index of
  /// items that differ in strength needs this.
  bool takes_bias = false;
  /// Searches obey SearchParams::items and max_score. For an index that does not the caller scans.
  bool takes_items = false;
};

/// An item that an index is given.
struct Insertion {
  Slot slot;
  /// A hash of the item's key, the same on every machine and run: whatever an index draws at random
  /// for the item it draws from this.
  std::uint64_t identity;
  /// With Traits::order_dependent: ascends from 1 by the order of inserts since the index was made
  /// or loaded. 0: not counted.
  std::uint64_t sequence = 0;
  /// When the insert was recorded, in milliseconds since 1970; 0: not known.
  std::int64_t unix_ms = 0;
};

/// What searches took, and whether they came to their end.
struct SearchEffort {
  std::size_t visited = 0;  ///< nodes whose links were followed; 0 for a scan
  std::size_t scored = 0;   ///< distances that were computed
  bool complete = true;     ///< SearchParams::most_visited did not end it
};

/// What a search is asked for.
struct SearchParams {
  std::size_t k = 10;  ///< how many answers; fewer come only if the index holds fewer
  /// How many candidates to keep while looking (ef_search): 0 is the index's own default. Exact
  /// primitives ignore it.
  std::size_t ef = 0;
  /// A walk may keep fewer candidates than k, if `ef` says so, and answers the k nearest that it
  /// met. False, or where a primitive knows no such thing: it keeps k at least.
  bool is_narrow = false;
  /// The primitive's search options, or nullptr for the defaults.
  const Options* options = nullptr;
  /// Only with Traits::takes_bias: ranks by effective scores. Null: all items are equally strong,
  /// and nothing is spent on them.
  const ScoreBias* bias = nullptr;
  /// Only with Traits::takes_items: the slots that may be answered. Null: all.
  const ItemFilter* items = nullptr;
  /// With `items`: about how many of the held slots they accept, if the caller knows. How the
  /// search goes about it depends on this.
  std::optional<std::size_t> matches = std::nullopt;
  /// With `items`: a walk ends once it has followed the links of so many nodes, with what it found
  /// until then. 0: no limit. Exact primitives ignore it.
  std::size_t most_visited = 0;
  /// Only with Traits::takes_items: only slots with a score (effective, with a bias) of at most
  /// this are answered. Not NaN.
  float max_score = std::numeric_limits<float>::infinity();
  /// What the search took is added to this, if it is not null.
  SearchEffort* effort = nullptr;

  /// Whether nothing but `k`, `ef` and `options` is asked for.
  [[nodiscard]] bool is_plain() const noexcept {
    return bias == nullptr && items == nullptr && effort == nullptr &&
           max_score == std::numeric_limits<float>::infinity();
  }
};

/// How a search for accepted items goes about it.
struct SearchPlan {
  bool walks = false;  ///< through a structure; false: it scans the accepted
  /// What a walk costs, about, in units of the time in which a scan scores a row; infinite where
  /// there is nothing to walk through.
  double walk_cost = std::numeric_limits<double>::infinity();
};

/// What a scan of `size` items costs that asks `items` about each of them, and scores the `matches`
/// that are accepted, in the same units. row_bytes: of a row of the store.
double scan_cost(std::size_t size, std::size_t matches, const ItemFilter& items,
                 std::size_t row_bytes) noexcept;

/// A retrieval primitive.
///
/// Between its insert and its erase a slot is *held*. The caller, which owns the VectorStore,
/// writes a slot's row before insert() and leaves it alone until every operation that began before
/// erase() returned has ended, and after reclaim() likewise where traits say deferred_reclaim. What
/// may run at once is said by Traits::concurrent.
class Index {
 public:
  virtual ~Index() = default;

  /// Whether the first insert, erase or recall has nothing to do that is left from create() or
  /// load(). By default true.
  [[nodiscard]] virtual bool is_warm() const noexcept;
  /// Does a part of that, of some milliseconds. An operation that comes before it is_warm() does
  /// the rest itself. Any thread.
  virtual void warm_up();

  /// Adds a written slot that is not held. Errors: kResourceExhausted; the slot is not held then.
  virtual Status insert(const Insertion& item, Scratch& scratch) = 0;

  /// Removes a held slot: no search that begins after this returns will answer it. Cannot fail.
  virtual void erase(Slot slot, Scratch& scratch) = 0;

  /// Only with Traits::deferred_reclaim: lets go of erased slots, so that nothing inside refers to
  /// them and they may be inserted anew. Every operation that began before their erase must have
  /// ended. Slots that the index does not know are passed over, see load(). One call at a time.
  virtual Status reclaim(std::span<const Slot> erased, Scratch& scratch);

  /// Fills `hits` with the min(k, size()) held slots nearest to `query`, ascending by (score,
  /// slot); with a bias, effective scores. Of items and a radius: with the min(k, n) nearest of the
  /// n slots that meet these; approximate primitives may miss some within a radius, but answer
  /// fewer than min(k, n) accepted ones only where most_visited ended the walk. A slot inserted or
  /// erased meanwhile may or may not be among them.
  virtual Status search(Query query, const SearchParams& params, Scratch& scratch,
                        std::vector<Hit>& hits) const = 0;

  /// What search() will do with such `params`, which have `items` and `matches`, unless the query
  /// shows that it is worse than it looks: then it may go over to a scan. A planner compares this
  /// with what else it can do. Any thread. By default a scan.
  virtual SearchPlan plan(const SearchParams& params) const noexcept;

  /// search() for several queries: hits[i] answers queries[i]. By default one after the other;
  /// override where a batch is cheaper. The answers are the same.
  virtual Status search_batch(std::span<const Query> queries, const SearchParams& params,
                              Scratch& scratch, std::span<std::vector<Hit>> hits) const;

  /// Fills `hits` as a search for the vector of the held slot `own` would if that were not held:
  /// nothing is answered for it, and nothing is found by way of it. How well those who are no items
  /// are answered can be told from items so. Of `params` k, ef and is_narrow count. By default a
  /// search for k + 1 from which `own` is taken: override where an item leads searches to its
  /// neighbours.
  virtual Status search_as_stranger(Slot own, Query query, const SearchParams& params,
                                    Scratch& scratch, std::vector<Hit>& hits) const;

  /// How many slots are held.
  virtual std::size_t size() const noexcept = 0;

  /// Bytes of the structure, without the vectors. Called after every change: it takes no lock and
  /// counts nothing anew.
  virtual std::size_t memory_bytes() const noexcept = 0;

  /// Whether a search for the vector of `slot`, with the defaults, answers it or one as near;
  /// nothing if it is not held. Any thread. By default nothing: approximate primitives override it,
  /// and VDIAG counts the items that are not found.
  virtual std::optional<bool> finds(Slot slot, Scratch& scratch) const;

  /// The held neighbors of `slot` in the graph that searches walk, by level from 0 on; empty if it
  /// is in none. Operations that began when it was held have not ended. Any thread. By default
  /// there is no graph.
  virtual std::vector<std::vector<Slot>> links(Slot slot) const;

  /// What this index would like people to know of it, for VINFO. By default nothing.
  virtual std::vector<Fact> describe() const;

  /// How this index recalls: the same object for its whole life, which it owns; never null with
  /// Traits::recalls. By default null.
  virtual Recaller* recaller() noexcept;

  /// Only with Traits::saves_structure: writes what load() needs to hold `items`.
  ///
  /// The inserts of `items` have returned, and none of them is reclaimed or reused before this
  /// returns; they may be erased. With Traits::concurrent other slots may be inserted and any may
  /// be erased meanwhile, without it only searches may run; reclaim may not in either case. The set
  /// does not change. Errors: the writer's; kResourceExhausted.
  virtual Status save(SectionWriter& writer, const SlotSet& items) const;

  /// Only with Traits::saves_structure, on a fresh index: afterwards exactly `items` are held. They
  /// are those of save() or some of them, and the store, already loaded, holds their vectors; where
  /// it holds others of save() as well, they are as they were.
  ///
  /// With deferred_reclaim, other slots that the store holds may remain inside as if they had been
  /// erased just now, where they lead searches as before. So vectors are best saved after the
  /// structure, and the caller passes every slot that is allocated but not among `items` to
  /// reclaim() before it uses it, whether the index knows it or not. On an error the index is to be
  /// discarded. Errors: kDataLoss when the sections are not a structure over those items;
  /// kResourceExhausted; the reader's.
  virtual Status load(SectionReader& reader, const SlotSet& items);
};

/// What an index is built on; all of it outlives the index. The store's element is the one that the
/// primitive asked for, and the kernel's is the store's.
struct IndexContext {
  const VectorStore& store;
  const Kernel& kernel;
};

/// What a recaller sees of an index. All of it outlives the recaller.
struct MemoryView {
  IndexContext context;
  const SlotSet& held;
  const Index* graph = nullptr;  ///< searches cheaper than a scan, and takes items; null: none
};

}  // namespace engram
