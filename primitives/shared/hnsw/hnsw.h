// SPDX-License-Identifier: Apache-2.0
// Hierarchical navigable small worlds [Malkov2018], with concurrent inserts, real deletion and a
// structure that can be saved. What differs from the paper: README.md, "Deviations".
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "core/index.h"
#include "core/slot_set.h"
#include "primitives/shared/hnsw/biased_walk.h"
#include "primitives/shared/hnsw/filtered_walk.h"
#include "primitives/shared/hnsw/graph.h"
#include "primitives/shared/hnsw/list_follower.h"
#include "primitives/shared/hnsw/search_layer.h"
#include "primitives/shared/hnsw/select_neighbors.h"

namespace engram::hnsw {

/// An index of fewer items has no graph: it takes no memory, inserts cost nothing, and a scan of so
/// few rows is faster than a walk (README.md, "Small indexes").
inline constexpr std::size_t kGraphFrom = 256;

/// The paper's parameters, and from how many items on there is a graph.
struct Config {
  std::size_t m = 16;
  std::size_t ef_construction = 200;
  std::size_t ef_search = 64;
  std::uint64_t seed = 42;
  Element quant = Element::kF32;  ///< what walks compare
  std::size_t graph_from = kGraphFrom;
};

/// The greatest SEED: 2^53 - 1, what an option holds exactly.
inline constexpr double kMaxSeed = 9007199254740991.0;

/// Whether inserts with these options end in reasonable time. One may look at every neighbour of
/// every candidate: each option by itself is reasonable, together they may be hours. Errors:
/// kInvalidArgument, with the EF_CONSTRUCTION that is allowed.
Status check_insert_work(std::size_t m, std::size_t ef_construction, std::size_t dim);

/// The neighbours that a new node will have on each of its levels, found before any of them is told
/// of it.
struct Plan {
  std::array<std::vector<Hit>, kMaxLevel + 1> neighbors;  // [level], nearest or most diverse first
  unsigned top = 0;                                       // the highest level that was searched
  unsigned level = 0;        // the node's own: it was drawn, but for outposts
  double outpost_reach = 0;  // see outposts.cc; 0: it is none
};

/// Whom a walk is for: ties are broken by its hash with others. `except` is no answer.
struct Errand {
  Slot slot;
  Slot except = kNoSlot;
};

/// Whether a link is to stay, whatever selections drop.
enum class Lasting : std::uint8_t { kNo, kYes };

/// A node that was far from all others when it came: see outposts.cc.
struct Outpost {
  std::size_t due;  ///< the size of the index at which it is visited again
  Slot slot;
  double reach;  ///< what is nearer belongs to its own region

  /// Of a heap with the next one on top.
  friend bool operator<(const Outpost& a, const Outpost& b) noexcept { return a.due > b.due; }
};

/// A list of neighbours that has lost some.
struct Repair {
  std::vector<Slot> kept;
  std::vector<Slot> replacements;  // held neighbours of those lost
  std::vector<Slot> detours;       // those lost, and erased nodes that they lead to
  VisitedSet met;
  std::vector<Hit> keepers;  // those that may keep a link to an orphan
};

/// A search with conditions, by a walk.
struct WalkTask {
  Query query;
  const SearchParams& params;
  std::size_t ef;
  std::size_t k;  ///< of the nearest that the walk itself is to find: at most `ef`
  Entry entry;
};

struct Header;  // structure.h

/// What a worker keeps between operations.
struct HnswBuffers {
  Beam beam;
  BiasedBeam biased;
  FilteredBeam filtered;
  std::vector<Hit> starts;
  Plan plan;
  Selection selection;
  std::vector<Hit> candidates;
  std::vector<Hit> farther;
  std::vector<Slot> slots;
  std::vector<Slot> kept;
  std::vector<Slot> before;  // of a list that is followed
  Repair repair;
  std::vector<float> scores;
  AlignedBuffer query;  // of the node that links are made for, or coded from a search's
};

/// A slot is a *node* from its insert to the reclaim() after its erase, and *held* from its insert
/// to its erase. In between it still leads walks to its neighbours, but it is no answer, and no
/// insert that begins then links to it. One that chose it as a neighbour before the erase may still
/// do so: such inserts have ended when reclaim() is called, which forgets those links like the
/// others.
///
/// Walks compare what the option QUANT says: stored rows, or codes of them that the index keeps
/// itself, or, where the store has nothing but codes, those. What was found by codes is ranked
/// again by the store's kernel, so every score that is answered is the kernel's.
///
/// As long as it holds fewer than Config::graph_from items an index has no graph and no nodes, only
/// the levels that they will have. The insert that reaches that number makes nodes of all of them,
/// and its own codes; searches scan until it has done so. There is no way back.
///
/// Threads: everything at once, without a lock that all share (graph.h). Only an insert that must
/// become the entry point, which is seldom, waits for others of its kind, and so do those before
/// there is a graph.
class Hnsw : public Index {
 public:
  static Result<std::unique_ptr<Hnsw>> create(const IndexContext& context, const Config& config);

  Status insert(const Insertion& item, Scratch& scratch) override;
  void erase(Slot slot, Scratch& scratch) override;
  Status reclaim(std::span<const Slot> erased, Scratch& scratch) override;
  Status search(Query query, const SearchParams& params, Scratch& scratch,
                std::vector<Hit>& hits) const override;
  SearchPlan plan(const SearchParams& params) const noexcept override;

  Status search_as_stranger(Slot own, Query query, const SearchParams& params, Scratch& scratch,
                            std::vector<Hit>& hits) const override;

  std::optional<bool> finds(Slot slot, Scratch& scratch) const override;

  std::size_t size() const noexcept override { return held_.size(); }
  std::size_t memory_bytes() const noexcept override;
  std::vector<std::vector<Slot>> links(Slot slot) const override;
  std::vector<Fact> describe() const override;
  Status save(SectionWriter& writer, const SlotSet& items) const override;
  Status load(SectionReader& reader, const SlotSet& items) override;
  Recaller* recaller() noexcept override { return recaller_.get(); }

  /// The links, for tests and tools.
  const Graph& graph() const noexcept { return graph_; }

 protected:  // for an index that keeps something beside the lists, and walks by it
  /// follower: outlives this; null: there is none.
  Hnsw(const IndexContext& context, const Config& config, ListFollower* follower = nullptr)
      : context_(context), config_(config), graph_(config.m), follower_(follower) {}

  /// What remains of making it.
  Status prepare();

  const IndexContext& context() const noexcept { return context_; }
  bool is_held(Slot slot) const noexcept { return held_.contains(slot); }
  /// Whether every node is an answer.
  bool holds_all_nodes() const noexcept { return held_.size() == nodes_.size(); }
  /// How many candidates a search keeps at least that does not say so, or the k that it wants.
  std::size_t ef_of(const SearchParams& params) const noexcept {
    return std::max(params.ef == 0 ? config_.ef_search : params.ef, params.k);
  }
  /// Whether there is nothing to walk through, or looking at every row costs less than a walk that
  /// keeps `ef` candidates.
  bool is_scanned(std::size_t ef) const noexcept {
    return !has_graph() || graph_.entry().slot == kNoSlot || scan_is_cheaper(ef);
  }
  /// The exact answer, by a scan.
  void scan(Query query, std::size_t k, std::vector<Hit>& hits) const;

 private:
  Status prepare_recaller();
  /// Has the follower know that a node's list is another; working.before: what it was.
  void follow(Slot node, const LinkList& links, const HnswBuffers& working) const {
    if (follower_ != nullptr) follower_->assigned(node, links, working.before);
  }
  void remember(const LinkList& links, HnswBuffers& working) const;
  /// What walks compare.
  RowView walk_rows() const noexcept {
    return {compares_codes() ? *estimator_ : context_.kernel,
            codes_ != nullptr ? *codes_ : context_.store.rows()};
  }
  /// What links are chosen by: the same, unless there are vectors beside signs. Between two rows of
  /// signs a distance is too coarse for that.
  RowView link_rows() const noexcept {
    const bool keeps_signs = codes_ != nullptr && config_.quant == Element::kBin;
    return keeps_signs ? RowView{context_.kernel, context_.store.rows()} : walk_rows();
  }
  Bound bound_to(Slot slot, HnswBuffers& working) const {
    return link_rows().to_slot(slot, working.query);
  }
  double mean_degree() const;
  std::string unfound_items() const;

  // search.cc
  Bound walk_bound(Query query, HnswBuffers& working) const;
  std::span<Rank> walk_from(std::span<const Hit> starts, const Bound& query, std::size_t ef,
                            HnswBuffers& working) const;

  // conditional_search.cc
  struct Width {
    std::size_t ef;
    std::size_t k;
  };
  Width width_of(const SearchParams& params) const noexcept;
  Status search_with_conditions(Query query, const SearchParams& params, Scratch& scratch,
                                std::vector<Hit>& hits) const;
  bool search_then_ask(Query query, const SearchParams& params, Scratch& scratch,
                       std::vector<Hit>& hits) const;
  std::size_t sample_matches(const ItemFilter& items) const noexcept;
  double routing_cost(std::size_t ef, std::size_t k, double share) const noexcept;
  double nodes_worth(double rows) const noexcept;
  double two_hop_cost(std::size_t ef, double share, double news) const noexcept;
  double asking_cost(double share) const noexcept;
  template <class Rest, class Follow>
  bool walk_accepted(const WalkTask& task, HnswBuffers& working, Rest rest, Follow&& follow) const;
  bool walk_nearest(const WalkTask& task, HnswBuffers& working, std::vector<Hit>& hits) const;
  // effort_search.cc
  void answer(Query query, std::span<Rank> found, std::size_t k, const ScoreBias* bias,
              HnswBuffers& working, std::vector<Hit>& hits) const;
  static void nearest_hits(std::span<Rank> found, std::size_t k, std::vector<Hit>& hits);
  template <class Order>
  bool walk_narrowly(Query query, const SearchParams& params, std::size_t ef, Entry entry,
                     Order order, HnswBuffers& working, std::vector<Hit>& hits) const;
  bool search_narrowly(Query query, const SearchParams& params, Entry entry, HnswBuffers& working,
                       std::vector<Hit>& hits) const;

  // reranking.cc
  double rank_again(const Bound& bound, std::span<Rank> found, const ScoreBias* bias,
                    HnswBuffers& working) const;
  void rank_nearest(const Bound& bound, std::span<Rank> found, std::size_t k, const ScoreBias* bias,
                    HnswBuffers& working) const;

  // biased_search.cc
  bool walk_widely(const WalkTask& task, HnswBuffers& working, std::vector<Hit>& hits) const;
  float error_of_codes(const Bound& bound, std::span<const Rank> found, HnswBuffers& working) const;

  // coding.cc
  bool compares_codes() const noexcept { return estimator_ != nullptr; }
  /// How many candidates a walk keeps for `ef`.
  std::size_t widened(std::size_t ef) const noexcept { return ef * widening_; }
  /// The same for what a search asks for, or what the index has for those that do not.
  std::size_t widened(const SearchParams& params) const noexcept { return widened(ef_of(params)); }
  Status prepare_codes();
  Status begin_coding(std::span<const Slot> first);
  Status code_along(std::vector<float> axis);
  Status encode(Slot slot);
  Status load_codes(SectionReader& reader, const Header& header);

  // code_recall.cc
  std::vector<Slot> neighborhood(Slot slot) const;
  std::optional<double> code_recall() const;

  bool has_graph() const noexcept { return has_graph_.load(std::memory_order_acquire); }
  std::size_t rows_for_a_candidate() const noexcept;
  bool scan_is_cheaper(std::size_t ef) const noexcept;

  // insert.cc
  /// How many neighbours a new node chooses. Whoever looks at whole lists at once anyway wants them
  /// full.
  std::size_t first_degree(unsigned level) const noexcept {
    return follower_ == nullptr ? config_.m : graph_.capacity(level);
  }
  unsigned draw_level(std::uint64_t identity) const noexcept;
  Status hold(Slot slot, unsigned level, Scratch& scratch);
  Status build_graph(Slot newest, Scratch& scratch);
  Status add_node(Slot slot, unsigned level);
  Status link_node(Slot slot, unsigned level, HnswBuffers& working);
  void search_level(unsigned level, const Bound& query, std::span<const Hit> starts, std::size_t ef,
                    Errand errand, Beam& beam, std::vector<Hit>& found) const;
  bool plan_neighbors(Slot slot, unsigned level, Entry entry, HnswBuffers& working) const;
  bool plan_by_scan(Slot slot, HnswBuffers& working) const;
  void connect(Slot slot, HnswBuffers& working);
  bool add_link(Slot node, unsigned level, const Hit& neighbor, Lasting lasting,
                HnswBuffers& working);
  static void retain_kept(std::span<const Hit> candidates, std::span<const Slot> kept,
                          std::vector<Hit>& chosen);

  // outposts.cc
  double reach_of_outpost(std::span<const Hit> found, HnswBuffers& working) const;
  void raise_outpost(HnswBuffers& working) const;
  void look_farther(Slot slot, Entry entry, HnswBuffers& working) const;
  void found_outpost(Slot slot, HnswBuffers& working);
  void revisit_outpost(HnswBuffers& working);
  void keep_links(Slot slot, HnswBuffers& working);
  void make_findable(Slot slot, HnswBuffers& working);
  void keep_one_link(Slot slot, std::span<const Hit> others, HnswBuffers& working);
  void schedule(Slot slot, double reach);
  double squared_scale(float score) const noexcept;
  bool comes_by_regions() const noexcept;
  bool seems_astray(Hit nearest, HnswBuffers& working) const;
  Hit start_widely(Entry entry, const Bound& query, HnswBuffers& working) const;
  bool look_elsewhere(Entry entry, const Bound& query, Hit nearest, HnswBuffers& working) const;

  // reclaim.cc
  void forget_erased(HnswBuffers& working);
  void repair(Slot node, unsigned level, HnswBuffers& working);
  void adopt(Slot orphan, HnswBuffers& working);
  void reconnect(HnswBuffers& working);
  void replace_entry();

  // save.cc
  std::optional<std::vector<std::uint8_t>> levels_without_graph(const SlotSet& items) const;
  std::vector<std::uint8_t> levels_of_nodes() const;

  // load.cc
  Status load_levels(std::span<const std::byte> levels, const SlotSet& items);
  Status load_nodes(std::span<const std::byte> levels, const SlotSet& items);
  Status check_upper_links(std::span<const std::byte> levels) const;
  void forget_strangers();
  Status load_entry(Entry entry, std::span<const std::byte> levels);

  const IndexContext context_;
  const Config config_;
  Graph graph_;
  ListFollower* const follower_;
  std::unique_ptr<RowBlocks> codes_;   // null unless they are the index's own
  std::unique_ptr<Kernel> estimator_;  // null unless walks compare codes; these two are fixed
  std::vector<float> axis_;            // before there is a graph
  std::size_t widening_ = 1;           // from prepare_codes() on
  SlotSet nodes_;
  SlotSet held_;
  std::atomic<bool> has_graph_{false};
  mutable std::mutex small_mutex_;    // taken to change what has no graph, or to copy it
  std::vector<std::uint8_t> levels_;  // by slot: of those held, until there is a graph
  std::unique_ptr<Recaller> recaller_;
  std::mutex entry_mutex_;  // taken to change the entry point
  std::mutex outposts_mutex_;
  std::vector<Outpost> outposts_;  // a heap
  std::atomic<std::size_t> outpost_bytes_{0};
  std::atomic<std::size_t> outposts_founded_{0};
  bool was_by_regions_ = false;  // when it was saved: fixed once it is loaded
  std::atomic<std::size_t> next_due_{kMaxSlots};
};

}  // namespace engram::hnsw
