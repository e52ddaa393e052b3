// SPDX-License-Identifier: Apache-2.0
// How a search among the items that meet a filter goes about it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/index.h"

namespace engram {

enum class SearchWay : std::uint8_t {
  kPlain,         ///< there was no filter: the index's own search
  kScan,          ///< the filter was asked of all items, and what met it was scored
  kWalk,          ///< the index's search asked the filter of what it met
  kWalkThenScan,  ///< the same, which left too few answers, and then a scan
};
inline constexpr std::string_view kSearchWayNames[] = {"plain", "scan", "walk", "walk, then scan"};

/// What became of a search.
struct SearchReport {
  SearchWay way = SearchWay::kPlain;
  std::size_t items = 0;      ///< there were
  std::size_t estimated = 0;  ///< about how many of them met the filter, as was thought before
  SearchEffort effort = {};
};

/// kScan or kWalk, for a search that has `items` and `matches`: what takes less time, which the
/// index knows; see Index::plan(). A scan asks the filter about every item and scores those that
/// match. An index that takes no items, or is exact, is left out.
SearchWay choose_way(const Index& index, const Traits& traits, const SearchParams& params);

}  // namespace engram
