// SPDX-License-Identifier: Apache-2.0
#include "server/requests/query_filters.h"

#include <algorithm>
#include <string>
#include <utility>

#include "server/requests/filter.h"

namespace engram {
namespace {

/// How many of the filters begin at `query` or before it.
std::size_t filters_begun(std::span<const QueryFilter> filters, std::size_t query) {
  const auto next = std::upper_bound(
      filters.begin(), filters.end(), query,
      [](std::size_t before, const QueryFilter& one) { return before < one.first; });
  return static_cast<std::size_t>(next - filters.begin());
}

}  // namespace

std::shared_ptr<const Filter> filter_of(std::span<const QueryFilter> filters, std::size_t query) {
  const std::size_t begun = filters_begun(filters, query);
  return begun == 0 ? nullptr : filters[begun - 1].filter;
}

std::size_t end_of_filter(std::span<const QueryFilter> filters, std::size_t query,
                          std::size_t queries) {
  const std::size_t begun = filters_begun(filters, query);
  return begun == filters.size() ? queries : std::min(filters[begun].first, queries);
}

FilterAdder::FilterAdder(std::vector<QueryFilter>& filters) : filters_(filters) {
  for (const QueryFilter& one : filters) keep(one.filter);
}

Status FilterAdder::add(std::string_view text, std::size_t first) {
  const auto known = known_.find(text);
  if (known != known_.end()) {
    // Queries with one filter are answered together.
    if (filters_.back().filter == known->second) return {};
    filters_.push_back({first, known->second});
    return {};
  }
  if (bytes_ + text.size() > kMostBytes) {
    return fail(ErrorCode::kInvalidArgument, "the different FILTERs of a command have at most " +
                                                 std::to_string(kMostBytes) + " bytes in all");
  }
  auto filter = compile_filter(text);
  if (!filter) return tl::unexpected(std::move(filter.error()));
  keep(*filter);
  filters_.push_back({first, std::move(*filter)});
  return {};
}

void FilterAdder::keep(const std::shared_ptr<const Filter>& filter) {
  if (known_.emplace(filter->text(), filter).second) bytes_ += filter->text().size();
}

}  // namespace engram
