// SPDX-License-Identifier: Apache-2.0
// Walking level 0 where only some nodes may be answered, through those that may not.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <span>
#include <utility>

#include "primitives/shared/hnsw/filtered_walk.h"
#include "primitives/shared/hnsw/search_layer.h"

namespace engram::hnsw {

/// The walk of a search without a filter, counted.
template <class Rest = ForgetRest>
class CountingWalk : private LayerWalk<BySlot, Admission, Rest> {
  using Base = LayerWalk<BySlot, Admission, Rest>;

 public:
  CountingWalk(const Graph& graph, const Bound& query, std::size_t ef, const Admission& admission,
               Beam& beam, Rest rest = {})
      : Base(graph, 0, query, ef, BySlot{}, admission, beam, rest) {}

  std::span<Rank> run(const Hit& start, Slot slot_end) {
    return Base::run({&start, 1}, slot_end, work_);
  }
  using Base::farthest;
  template <class Further>
  bool widen(std::size_t most, Further& further) {
    return Base::widen(most, further, work_);
  }
  const WalkWork& work() const noexcept { return work_; }

 private:
  WalkWork work_;
};

/// Of how many admitted nodes a walk that keeps `ef` candidates without a filter keeps the nearest,
/// where a share of those it meets is admitted. Keeping `ef` it would look at ef / share nodes and
/// find more than it was asked to; `share` * `ef` would be what it looks at without a filter, and
/// the few admitted among them are found less surely. A tenth more, so that a filter which follows
/// the vectors in its own way costs no recall either. Measured: README.md, "Filters".
inline std::size_t admitted_to_keep(std::size_t ef, std::size_t k, double share) noexcept {
  constexpr double kMore = 1.1;
  constexpr double kPower = 0.6;
  const auto kept = static_cast<std::size_t>(
      std::ceil(kMore * static_cast<double>(ef) * std::pow(share, kPower)));
  return std::clamp(kept, std::min(k + k / 4 + 1, std::max(ef, k)), std::max(ef, k));
}

/// What a RoutingWalk is told of its task.
struct RoutingLimits {
  std::size_t most_visited = 0;  ///< see SearchParams; 0: none
  double share = 1;              ///< of the nodes that are admitted, anywhere
  double most_nodes = 0;         ///< if it is to visit more, something else is cheaper
};

/// A walk over level 0 that scores what it meets, as one without a filter, and keeps the nearest
/// admitted. How many these are depends on their share among what it meets. It asks the filter only
/// about nodes near enough to be answered, those of a step together: what the filter looks at lies
/// anywhere in memory, and comes at the same time.
template <class Rest = ForgetRest>
class RoutingWalk : private LayerWalk<BySlot, Admission, Rest> {
  using Base = LayerWalk<BySlot, Admission, Rest>;

 public:
  RoutingWalk(const Graph& graph, const Bound& query, std::size_t ef, std::size_t k,
              const Admission& admission, Beam& beam, Rest rest = {})
      : Base(graph, 0, query, std::max(ef, k), BySlot{}, admission, beam, rest), k_(k) {}

  /// Walks until nothing nearer can be met, or limits end it.
  std::span<Rank> run(const Hit& start, Slot slot_end, const RoutingLimits& limits) {
    Base::begin({}, slot_end);
    kept_ = admitted_to_keep(this->ef_, k_, limits.share);
    double judged_at = kFirstJudged;
    if (this->beam_.visited.insert(start.slot)) offer(BySlot::rank(start));
    take_offered();
    ++work_.scores;
    while (Base::expand(this->farthest_, kWidth)) {
      Base::look();
      Base::gather();
      work_.nodes += this->width_;
      work_.scores += this->count_;
      Base::score(needed_below<Rest>(this->farthest_), [this](Rank rank) {
        if (rank < this->farthest_) {
          offer(rank);
        } else {
          this->rest_.passed(rank);
        }
      });
      take_offered();
      if (limits.most_visited > 0 && work_.nodes >= limits.most_visited) {
        is_cut_off_ = true;
        break;
      }
      if (static_cast<double>(work_.asked) * limits.share >= judged_at) {
        judged_at *= 2;
        is_hopeless_ = nodes_expected() > limits.most_nodes;
      }
      is_hopeless_ |= static_cast<double>(work_.nodes) > kOverrun * limits.most_nodes;
      if (is_hopeless_) break;
    }
    return take_found(this->beam_);
  }

  using Base::farthest;

  /// As LayerWalk's.
  template <class Further>
  bool widen(std::size_t most, Further& further) {
    return Base::widen(most, further, work_);
  }

  const WalkWork& work() const noexcept { return work_; }
  bool is_cut_off() const noexcept { return is_cut_off_; }
  /// Whether it has ended because it would have visited too many nodes.
  bool is_hopeless() const noexcept { return is_hopeless_; }

 private:
  /// It judges whether it is worth going on when it should have met so many admitted ones, and
  /// each time that the number doubles.
  static constexpr double kFirstJudged = 8;
  /// What it judged may be wrong, but not by more.
  static constexpr double kOverrun = 1.25;
  static constexpr std::size_t kMostOffered = 64;

  /// How many it will have visited, by the share of those admitted until now.
  double nodes_expected() const noexcept {
    const double share = (static_cast<double>(admitted_) + 0.5) / static_cast<double>(work_.asked);
    return static_cast<double>(kept_) / share;
  }

  /// Remembers a node that was near enough when it was scored.
  void offer(Rank rank) {
    if (offered_count_ == kMostOffered) take_offered();
    offered_[offered_count_] = BySlot::hit(rank).slot;
    ranks_[offered_count_++] = rank;
  }

  /// Asks about those that were offered, and takes them.
  void take_offered() {
    const std::size_t count = std::exchange(offered_count_, 0);
    this->is_answer_.select({offered_.data(), count}, {is_admitted_.data(), count});
    work_.asked += count;
    for (std::size_t i = 0; i < count; ++i) admitted_ += std::size_t{is_admitted_[i]};
    for (std::size_t i = 0; i < count; ++i) {
      if (ranks_[i] < this->farthest_) {
        take(ranks_[i], is_admitted_[i]);
      } else {
        this->rest_.passed(ranks_[i]);
      }
    }
  }

  void take(Rank rank, bool is_admitted) {
    RankHeap& nearest = this->beam_.nearest;
    this->beam_.frontier.push(rank);
    if (!is_admitted) return;
    if (nearest.size() < kept_) {
      nearest.push(~rank);
      if (nearest.size() == kept_) keep_more();
    } else {
      this->rest_.displaced(this->farthest_);
      nearest.replace_top(~rank);
    }
    if (nearest.size() == kept_) this->farthest_ = ~nearest.top();
  }

  /// So far all that it met was near enough: now it knows their share.
  void keep_more() {
    const double share = static_cast<double>(admitted_) / static_cast<double>(work_.asked);
    kept_ = std::max(kept_, admitted_to_keep(this->ef_, k_, share));
  }

  const std::size_t k_;
  std::size_t kept_ = 0;  // how many of the nearest
  std::size_t admitted_ = 0;
  WalkWork work_;
  bool is_cut_off_ = false;
  bool is_hopeless_ = false;
  std::array<Slot, kMostOffered> offered_;  // not asked about yet
  std::array<Rank, kMostOffered> ranks_;    // theirs
  std::array<bool, kMostOffered> is_admitted_;
  std::size_t offered_count_ = 0;
};

}  // namespace engram::hnsw
