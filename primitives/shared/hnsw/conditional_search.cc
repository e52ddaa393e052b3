// SPDX-License-Identifier: Apache-2.0
// Searches that ask for more than the nearest: among accepted items, within a radius, by effective
// scores, or what it took.
#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <vector>

#include "core/exact_scan.h"
#include "core/hash.h"
#include "primitives/shared/hnsw/accepted_walk.h"
#include "primitives/shared/hnsw/hnsw.h"

namespace engram::hnsw {
namespace {

/// A search that is not told how many items the filter accepts asks it about items until it has
/// accepted enough to know.
constexpr std::size_t kEnough = 16;
constexpr std::size_t kMostSampled = 2048;

/// Where more than this share seems to be accepted, the nearest of all hardly ever need to be asked
/// for again.
constexpr double kNearlyAll = 0.999;

/// Within a radius all are wanted, not most of a few: so many times as many candidates are kept
/// there unless a search says how many. Measured: README.md, "Radius".
constexpr std::size_t kRadiusEf = 8;

/// A walk's cost in rows, by the nodes that it visits: kFirstNode * rows_for_a_candidate() *
/// nodes^kMoreNodes.
constexpr double kFirstNode = 1.3;
constexpr double kMoreNodes = 0.8;

}  // namespace

/// About how many items are accepted, by a sample, which is the same each time. Where none of it
/// is, half an item of the sample.
std::size_t Hnsw::sample_matches(const ItemFilter& items) const noexcept {
  const std::size_t end = graph_.node_end();
  std::size_t held = 0;
  std::size_t accepted = 0;
  for (std::size_t i = 0; i < kMostSampled && accepted < kEnough && end > 0; ++i) {
    const auto slot = static_cast<Slot>(mix(i) % end);
    if (!held_.contains(slot)) continue;
    ++held;
    accepted += static_cast<std::size_t>(items.accepts(slot));
  }
  const double share = (accepted == 0 ? 0.5 : static_cast<double>(accepted)) /
                       static_cast<double>(std::max<std::size_t>(held, 1));
  return static_cast<std::size_t>(std::min(share, 1.0) * static_cast<double>(size()));
}

/// Measured (README.md, "Filters"): a RoutingWalk visits (admitted nodes that it keeps) / share
/// nodes, and the more it visits, the fewer of their neighbours are new.
double Hnsw::routing_cost(std::size_t ef, std::size_t k, double share) const noexcept {
  const double visited = static_cast<double>(admitted_to_keep(ef, k, share)) / share;
  const double most = static_cast<double>(size());
  const auto first = kFirstNode * static_cast<double>(rows_for_a_candidate());
  return first * std::pow(std::min(visited, most), kMoreNodes);
}

/// How many nodes a RoutingWalk visits for such a cost.
double Hnsw::nodes_worth(double rows) const noexcept {
  const auto first = kFirstNode * static_cast<double>(rows_for_a_candidate());
  return std::pow(rows / first, 1 / kMoreNodes);
}

/// What it costs a FilteredWalk to ask about a node, which lies anywhere in memory, and to score it
/// if it is accepted.
double Hnsw::asking_cost(double share) const noexcept {
  return 425.0 / (static_cast<double>(context_.store.row_bytes()) + 300) + share;
}

/// Measured: for each candidate a FilteredWalk asks about so many nodes. news: of how many
/// neighbours of a node a walk knows nothing yet.
double Hnsw::two_hop_cost(std::size_t ef, double share, double news) const noexcept {
  const double overlap = std::min(1.0, news / kManyNew);
  const double asked = std::min(300.0, 40.0 / share) * overlap * overlap;
  return static_cast<double>(ef) * asked * asking_cost(share);
}

/// How many candidates a walk keeps, and how many of the nearest it must find.
Hnsw::Width Hnsw::width_of(const SearchParams& params) const noexcept {
  const bool is_bounded = params.max_score < std::numeric_limits<float>::infinity();
  if (!is_bounded) return {widened(params), params.k};
  const std::size_t ef = params.ef == 0 ? config_.ef_search * kRadiusEf : params.ef;
  return {ef, std::min<std::size_t>(params.k, 1)};  // k is a limit
}

SearchPlan Hnsw::plan(const SearchParams& params) const noexcept {
  if (!has_graph() || graph_.entry().slot == kNoSlot || params.k == 0) return {};
  const Width width = width_of(params);
  if (params.items == nullptr) {
    return {.walks = !scan_is_cheaper(width.ef),
            .walk_cost = static_cast<double>(width.ef * rows_for_a_candidate())};
  }
  const std::size_t matches = params.matches ? *params.matches : sample_matches(*params.items);
  const double walk = routing_cost(width.ef, width.k, share_of(matches, size()));
  const double scan = scan_cost(size(), matches, *params.items, context_.store.row_bytes());
  return {.walks = walk < scan, .walk_cost = walk};
}

/// Where a filter seems to accept everything: a plain search, whose answers alone the filter is
/// asked about. False where that does not answer.
bool Hnsw::search_then_ask(Query query, const SearchParams& params, Scratch& scratch,
                           std::vector<Hit>& hits) const {
  SearchParams plain = params;
  plain.items = nullptr;
  plain.effort = nullptr;
  if (params.most_visited > 0 || !plain.is_plain()) return false;
  plain.effort = params.effort;
  if (!Hnsw::search(query, plain, scratch, hits)) return false;
  return std::all_of(hits.begin(), hits.end(),
                     [&](const Hit& hit) { return params.items->accepts(hit.slot); });
}

Status Hnsw::search_with_conditions(Query query, const SearchParams& params, Scratch& scratch,
                                    std::vector<Hit>& hits) const {
  SearchParams known = params;
  if (known.items != nullptr && !known.matches) known.matches = sample_matches(*known.items);
  if (known.items != nullptr && share_of(*known.matches, size()) > kNearlyAll &&
      search_then_ask(query, params, scratch, hits)) {
    return {};
  }
  const Entry entry = graph_.entry();
  if (plan(known).walks && entry.slot != kNoSlot) {
    auto& working = scratch.get<HnswBuffers>();
    const Width width = width_of(params);
    const WalkTask task{query, known, width.ef, width.k, entry};
    const bool is_wide =
        params.bias != nullptr || params.max_score < std::numeric_limits<float>::infinity();
    if (is_wide ? walk_widely(task, working, hits) : walk_nearest(task, working, hits)) return {};
  }
  scan_nearest(Bound(context_.kernel, query, context_.store), held_, params, hits);
  return {};
}

/// False where a scan is to answer.
bool Hnsw::walk_nearest(const WalkTask& task, HnswBuffers& working, std::vector<Hit>& hits) const {
  const auto finish = [&](auto& /*walk*/, std::span<Rank> found, bool is_cut_off) {
    if (found.size() < task.k && !is_cut_off) return false;
    answer(task.query, found, task.k, nullptr, working, hits);
    return true;
  };
  return walk_accepted(task, working, ForgetRest{}, finish);
}

}  // namespace engram::hnsw
