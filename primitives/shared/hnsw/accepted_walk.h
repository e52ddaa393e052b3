// SPDX-License-Identifier: Apache-2.0
// The walk of a search with conditions: which kind it is, and what it took.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>

#include "primitives/shared/hnsw/filtered_walk.h"
#include "primitives/shared/hnsw/hnsw.h"
#include "primitives/shared/hnsw/routing_walk.h"

namespace engram::hnsw {

/// Neighbours of a node that are new to a walk, where items are spread as widely as they can be.
inline constexpr double kManyNew = 16;

/// How many times the candidates of a RoutingWalk a FilteredWalk keeps. EF says how many it takes
/// where the near are met on the way to the nearer; far from a query all directions are alike, and
/// who follows only the nearest sees one of them.
inline constexpr std::size_t kFarEf = 4;

/// At how many of `matches` a FilteredWalk begins. Of n, the nearest of √n has about √n nearer than
/// itself: drawing as many as are then left to find costs least. Twice as many, since those left
/// may lie in several regions.
inline std::size_t seeds_among(std::size_t matches) noexcept {
  return static_cast<std::size_t>(2 * std::sqrt(static_cast<double>(matches)));
}

/// The share of `matches` in `size` items, never 0.
inline double share_of(std::size_t matches, std::size_t size) noexcept {
  const double all = static_cast<double>(std::max<std::size_t>(size, 1));
  return std::clamp(static_cast<double>(matches) / all, 0.5 / all, 1.0);
}

/// Adds what walks did to a search's effort, when it goes.
class EffortNote {
 public:
  explicit EffortNote(SearchEffort* effort) noexcept : effort_(effort) {}
  EffortNote(const EffortNote&) = delete;
  EffortNote& operator=(const EffortNote&) = delete;
  ~EffortNote() {
    if (effort_ == nullptr) return;
    effort_->visited += visited_;
    effort_->scored += scored_;
    effort_->complete &= !is_cut_off_;
  }

  void add(const WalkWork& work) noexcept {
    visited_ += work.nodes;
    scored_ += work.scores;
  }
  void cut_off() noexcept { is_cut_off_ = true; }

 private:
  SearchEffort* effort_;
  std::size_t visited_ = 0;
  std::size_t scored_ = 0;
  bool is_cut_off_ = false;
};

/// Walks, and returns follow(walk, found, is_cut_off); false where a scan is cheaper, or follow()
/// says so. Without a filter it is the plain walk. With one it is a RoutingWalk; if that meets
/// hardly any that is accepted, though so many are somewhere, a FilteredWalk: the accepted are far
/// from such a query, in all directions.
template <class Rest, class Follow>
bool Hnsw::walk_accepted(const WalkTask& task, HnswBuffers& working, Rest rest,
                         Follow&& follow) const {
  const SearchParams& params = task.params;
  const Bound query = walk_bound(task.query, working);
  const Slot slot_end = context_.store.slot_end();
  const Admission admission(held_, params.items);
  EffortNote effort(params.effort);
  const Hit start = start_widely(task.entry, query, working);
  if (params.items == nullptr) {
    CountingWalk walk(graph_, query, task.ef, admission, working.beam, rest);
    const bool followed = follow(walk, walk.run(start, slot_end), false);
    effort.add(walk.work());
    return followed;
  }
  const double share = share_of(*params.matches, size());
  const std::size_t far_ef = kFarEf * task.ef;
  const double scan = scan_cost(size(), *params.matches, *params.items, context_.store.row_bytes());
  RoutingWalk walk(graph_, query, task.ef, task.k, admission, working.beam, rest);
  const std::span<Rank> found =
      walk.run(start, slot_end,
               {.most_visited = params.most_visited,
                .share = share,
                .most_nodes = nodes_worth(std::min(scan, two_hop_cost(far_ef, share, kManyNew)))});
  if (!walk.is_hopeless()) {
    if (walk.is_cut_off()) effort.cut_off();
    const bool followed = follow(walk, found, walk.is_cut_off());
    effort.add(walk.work());
    return followed;
  }
  effort.add(walk.work());
  const double news =
      static_cast<double>(walk.work().scores) / static_cast<double>(walk.work().nodes);
  if (two_hop_cost(far_ef, share, news) >= scan) return false;
  rest.forget();
  const std::size_t left =
      params.most_visited == 0
          ? 0
          : params.most_visited - std::min(params.most_visited - 1, walk.work().nodes);
  const std::size_t seeds = seeds_among(*params.matches);
  FilteredWalk far(graph_, query, far_ef, admission,
                   {.most_visited = left,
                    .most_asked = static_cast<std::size_t>(scan / asking_cost(share)),
                    .seeds = left == 0 ? seeds : std::min(seeds, left)},
                   working.filtered, working.beam, rest);
  const std::span<Rank> found_far = far.run(start, slot_end);
  bool followed = !far.is_too_dear();
  if (far.is_cut_off()) effort.cut_off();
  if (followed) followed = follow(far, found_far, far.is_cut_off());
  effort.add(far.work());
  return followed;
}

}  // namespace engram::hnsw
