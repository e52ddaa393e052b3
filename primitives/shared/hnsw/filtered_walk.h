// SPDX-License-Identifier: Apache-2.0
// Walking level 0 where only some nodes may be answered, and few near the query are: the two-hop
// expansion of ACORN-1 [Patel2024].
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/assert.h"
#include "core/bound.h"
#include "core/hash.h"
#include "core/item_filter.h"
#include "core/slot.h"
#include "core/slot_set.h"
#include "primitives/shared/hnsw/graph.h"
#include "primitives/shared/hnsw/order.h"
#include "primitives/shared/hnsw/search_layer.h"

namespace engram::hnsw {

/// Which nodes may be answered: those held that a filter, if there is one, accepts. Borrows both.
class Admission {
 public:
  Admission(const SlotSet& held, const ItemFilter* items) noexcept : held_(held), items_(items) {}

  bool operator()(Slot slot) const noexcept {
    return held_.contains(slot) && (items_ == nullptr || items_->accepts(slot));
  }

  /// Whether it is an item, accepted or not.
  bool holds(Slot slot) const noexcept { return held_.contains(slot); }

  /// admitted[i] = (*this)(slots[i]). Both [n], any n.
  void select(std::span<const Slot> slots, std::span<bool> admitted) const noexcept {
    if (items_ == nullptr) {
      std::fill(admitted.begin(), admitted.end(), true);
    } else {
      items_->select(slots, admitted);
    }
    for (std::size_t i = 0; i < slots.size(); ++i) admitted[i] &= held_.contains(slots[i]);
  }

 private:
  const SlotSet& held_;
  const ItemFilter* items_;
};

/// What a walk with a filter knows of nodes. Starting over costs an addition, see VisitedSet.
class NodeMarks {
 public:
  enum State : std::uint8_t {
    kUnknown,   ///< not met
    kAccepted,  ///< an answer, which is scored
    kRejected,  ///< none, and its links may still be followed
    kFollowed,  ///< none, and they were
  };

  void start(std::size_t slot_end) {
    if (slot_end > marks_.size()) {
      marks_.resize(std::max(slot_end, marks_.size() + marks_.size() / 2), 0);
    }
    version_ = static_cast<std::uint8_t>(version_ + kStates);
    if (version_ == 0) {  // wrapped: old marks would look current
      std::fill(marks_.begin(), marks_.end(), std::uint8_t{0});
      version_ = kStates;
    }
  }

  /// The marks of one walk, which a loop keeps in registers: see VisitedSet::Marks.
  class View {
   public:
    View(std::uint8_t* marks, std::size_t end, std::uint8_t version) noexcept
        : marks_(marks), end_(end), version_(version) {}

    /// One past the highest slot that there is a mark of.
    std::size_t end() const noexcept { return end_; }
    State of(Slot slot) const noexcept {
      const std::uint8_t mark = marks_[slot];
      return mark < version_ ? kUnknown : static_cast<State>(mark - version_);
    }
    void set(Slot slot, State state) const noexcept {
      marks_[slot] = static_cast<std::uint8_t>(version_ + state);
    }
    void prefetch(Slot slot) const noexcept { engram::prefetch(marks_ + slot); }

   private:
    std::uint8_t* marks_;
    std::size_t end_;
    std::uint8_t version_;
  };

  /// Valid until the next start().
  View view() noexcept { return {marks_.data(), marks_.size(), version_}; }

 private:
  static constexpr std::uint8_t kStates = 4;

  std::vector<std::uint8_t> marks_;
  std::uint8_t version_ = 0;  // a multiple of kStates
};

/// The reusable memory of a walk with a filter, beside a Beam.
struct FilteredBeam {
  NodeMarks marks;
  std::vector<Slot> listed;   // of the lists that are looked at
  std::vector<Slot> asked;    // those of them that the filter is asked about
  std::vector<Slot> detours;  // rejected neighbours of this step
};

/// When a walk with a filter ends early.
struct WalkLimits {
  std::size_t most_visited = 0;  ///< see SearchParams; 0: none
  std::size_t most_asked = 0;    ///< beyond that a scan is cheaper
  std::size_t seeds = 0;         ///< admitted nodes, drawn from all, at which it begins as well
};

/// What walks have done. The probe of a LayerWalk that counts.
struct WalkWork {
  std::size_t nodes = 0;   ///< whose links were followed
  std::size_t asked = 0;   ///< nodes that the filter was asked about
  std::size_t scores = 0;  ///< that were computed

  void expanded(Slot /*slot*/) noexcept { ++nodes; }
  void scored(std::size_t count) noexcept { scores += count; }
};

/// How many admitted nodes a step of a FilteredWalk looks for, per node that it expands. With 32,
/// as many as a node has links, a walk must keep twice the candidates for the same recall.
inline constexpr std::size_t kWantedNeighbors = 64;

/// A walk over level 0 from one node that finds the `ef` nodes nearest to `query` which it meets
/// and that are admitted. It steps from admitted nodes to admitted ones. Where few of a node's
/// neighbours are, it looks for more behind those that are not, without scoring them: so it walks a
/// graph of the admitted nodes alone, which nobody has built. Borrows all but `query`; one walk at
/// a time has a Beam.
template <class Rest = ForgetRest>
class FilteredWalk {
 public:
  FilteredWalk(const Graph& graph, const Bound& query, std::size_t ef, Admission admission,
               const WalkLimits& limits, FilteredBeam& filtered, Beam& beam, Rest rest = {})
      : graph_(graph),
        query_(query),
        ef_(ef),
        admission_(admission),
        limits_(limits),
        filtered_(filtered),
        beam_(beam),
        rest_(rest) {}

  /// Walks, and returns what was found, in no order; it lies in the beam. slot_end: see
  /// VisitedSet::start.
  std::span<Rank> run(const Hit& start, Slot slot_end) {
    filtered_.marks.start(slot_end);
    beam_.frontier.clear();
    beam_.nearest.clear();
    if (start.slot < slot_end) begin(start);
    start_among_admitted();
    walk();
    return take_found(beam_);
  }

  /// As LayerWalk's.
  Rank farthest() const noexcept { return farthest_; }

  /// As LayerWalk's; false, too, where limits end it.
  template <class Further>
  bool widen(std::size_t most, Further& further) {
    for (std::size_t expansions = 0; expand(further.bound()); expansions += width_) {
      if (expansions >= most) return false;
      meet();
      offer_nearer(beam_, further, [this](Rank bound, auto&& take) { this->score(bound, take); });
      if (has_ended()) return false;
    }
    return true;
  }

  const WalkWork& work() const noexcept { return work_; }
  /// Whether SearchParams::most_visited ended it.
  bool is_cut_off() const noexcept {
    return limits_.most_visited > 0 && work_.nodes >= limits_.most_visited;
  }
  bool is_too_dear() const noexcept { return work_.asked > limits_.most_asked; }

 private:
  static constexpr std::size_t kAtOnce = 4;  // lists of detours
  static constexpr std::size_t kMostDrawn = 4096;

  bool has_ended() const noexcept { return is_cut_off() || is_too_dear(); }

  void begin(const Hit& start) {
    const auto marks = filtered_.marks.view();
    const bool admitted = admission_(start.slot);
    ++work_.asked;
    ++work_.scores;
    marks.set(start.slot, admitted ? NodeMarks::kAccepted : NodeMarks::kFollowed);
    if (admitted) {
      consider(BySlot::rank(start));
    } else {
      beam_.frontier.push(BySlot::rank(start));
    }
  }

  void walk() {
    while (!has_ended() && expand(farthest_)) {
      meet();
      score(needed_below<Rest>(farthest_), [this](Rank rank) {
        if (rank < farthest_) {
          consider(rank);
        } else {
          rest_.passed(rank);
        }
      });
    }
  }

  /// Takes the nearest candidates. False if none is as near as `bound`.
  bool expand(Rank bound) {
    RankHeap& frontier = beam_.frontier;
    for (width_ = 0; width_ < kWidth && !frontier.empty(); ++width_) {
      if (frontier.top() > bound) break;
      expanded_[width_] = BySlot::hit(frontier.top()).slot;
      graph_.prefetch_links(expanded_[width_]);
      frontier.pop();
    }
    return width_ > 0;
  }

  /// Leaves in beam.neighbors the admitted neighbours of those that are new, and of their detours.
  void meet() {
    beam_.neighbors.clear();
    filtered_.detours.clear();
    near_ = 0;
    list({expanded_.data(), width_});
    sort_out<true>();
    const std::size_t wanted = kWantedNeighbors * width_;
    auto& detours = filtered_.detours;
    std::size_t next = 0;
    while (next < detours.size() && near_ < wanted) {
      const std::size_t count = std::min(kAtOnce, detours.size() - next);
      list({detours.data() + next, count});
      next += count;
      sort_out<false>();
    }
    const auto marks = filtered_.marks.view();
    for (; next < detours.size(); ++next) marks.set(detours[next], NodeMarks::kRejected);
  }

  /// Leaves in filtered.listed the neighbours of some nodes.
  void list(std::span<const Slot> nodes) {
    const auto marks = filtered_.marks.view();
    const std::size_t end = std::min(graph_.node_end(), marks.end());
    auto& listed = filtered_.listed;
    const std::size_t most = nodes.size() * graph_.capacity(0);
    if (listed.size() < most) listed.resize(most);
    std::size_t count = 0;
    graph_.fetch_links(nodes);
    for (const Slot node : nodes) {
      graph_.links(node, 0, end).for_each([&](Slot slot) {
        marks.prefetch(slot);
        listed[count++] = slot;
      });
    }
    listed_ = count;
    work_.nodes += nodes.size();
  }

  /// Asks about those that are new. The rejected ones among neighbours are detours.
  template <bool kNeighbors>
  void sort_out() {
    const auto marks = filtered_.marks.view();
    auto& asked = filtered_.asked;
    if (asked.size() < listed_) asked.resize(listed_);
    std::size_t count = 0;
    for (std::size_t i = 0; i < listed_; ++i) {
      const Slot slot = filtered_.listed[i];
      const NodeMarks::State state = marks.of(slot);
      if (state == NodeMarks::kUnknown) {
        marks.set(slot, NodeMarks::kAccepted);
        asked[count++] = slot;
      } else if (state == NodeMarks::kAccepted) {
        ++near_;
      } else if (kNeighbors && state == NodeMarks::kRejected) {
        take_detour(slot, marks);
      }
    }
    std::array<bool, 64> admitted;
    for (std::size_t begin = 0; begin < count; begin += admitted.size()) {
      const std::span<const Slot> slots(asked.data() + begin,
                                        std::min(admitted.size(), count - begin));
      admission_.select(slots, {admitted.data(), slots.size()});
      for (std::size_t i = 0; i < slots.size(); ++i) {
        if (admitted[i]) {
          ++near_;
          beam_.neighbors.push_back(slots[i]);
        } else if (kNeighbors) {
          take_detour(slots[i], marks);
        } else {
          marks.set(slots[i], NodeMarks::kRejected);
        }
      }
    }
    work_.asked += count;
  }

  void take_detour(Slot slot, const NodeMarks::View& marks) {
    marks.set(slot, NodeMarks::kFollowed);
    graph_.prefetch_links(slot);
    filtered_.detours.push_back(slot);
  }

  /// take(rank) of each of beam.neighbors, see score_below().
  template <class Take>
  void score(Rank limit, Take&& take) {
    const std::size_t count = beam_.neighbors.size();
    if (beam_.rows.size() < count) beam_.rows.resize(count);
    if (beam_.scores.size() < count) beam_.scores.resize(count);
    query_.fetch_placed(beam_.neighbors);
    query_.locate(beam_.neighbors, beam_.rows.data());
    query_.prefetch({beam_.rows.data(), count});
    score_below(limit, query_, {beam_.rows.data(), count}, BySlot{}, {beam_.scores.data(), count});
    for (std::size_t i = 0; i < count; ++i) {
      take(BySlot::rank({comparable(beam_.scores[i]), beam_.neighbors[i]}));
    }
    work_.scores += count;
    if (!beam_.frontier.empty()) graph_.prefetch_links(BySlot::hit(beam_.frontier.top()).slot);
  }

  /// Remembers an admitted node that is nearer than the farthest of the nearest.
  void consider(Rank rank) {
    RankHeap& nearest = beam_.nearest;
    beam_.frontier.push(rank);
    if (nearest.size() < ef_) {
      nearest.push(~rank);
    } else {
      rest_.displaced(farthest_);
      nearest.replace_top(~rank);
    }
    if (nearest.size() == ef_) farthest_ = ~nearest.top();
  }

  /// Where the start is far from all that is admitted, nothing leads away from it, and the admitted
  /// may lie in regions that no admitted node joins: a sample of them is where walks begin, too. A
  /// step's worth of nodes is asked about together.
  void start_among_admitted() {
    const auto marks = filtered_.marks.view();
    const std::size_t end = std::min(graph_.node_end(), marks.end());
    std::array<Slot, 64> asked;
    std::array<bool, asked.size()> admitted;
    beam_.neighbors.clear();
    for (std::size_t drawn = 0;
         drawn < kMostDrawn && beam_.neighbors.size() < limits_.seeds && end > 0;
         drawn += asked.size()) {
      std::size_t count = 0;
      for (std::size_t i = drawn; i < drawn + asked.size(); ++i) {
        const auto slot = static_cast<Slot>(mix(i) % end);
        if (marks.of(slot) != NodeMarks::kUnknown) continue;
        marks.set(slot, NodeMarks::kRejected);
        asked[count++] = slot;
      }
      admission_.select({asked.data(), count}, {admitted.data(), count});
      work_.asked += count;
      for (std::size_t i = 0; i < count; ++i) {
        if (!admitted[i]) continue;
        marks.set(asked[i], NodeMarks::kAccepted);
        beam_.neighbors.push_back(asked[i]);
      }
    }
    score(farthest_, [this](Rank rank) {
      if (rank < farthest_) consider(rank);
    });
  }

  const Graph& graph_;
  const Bound query_;
  const std::size_t ef_;
  const Admission admission_;
  const WalkLimits limits_;
  FilteredBeam& filtered_;
  Beam& beam_;
  [[no_unique_address]] Rest rest_;
  WalkWork work_;
  Rank farthest_ = kNoRank;              // of the nearest, once there are `ef`
  std::array<Slot, kWidth> expanded_{};  // in this step
  std::size_t width_ = 0;                // how many these are
  std::size_t listed_ = 0;               // how many of filtered.listed belong to this look
  std::size_t near_ = 0;                 // how many admitted ones this step has met
};

}  // namespace engram::hnsw
